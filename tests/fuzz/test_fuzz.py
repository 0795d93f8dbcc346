"""The fuzzer's targets, driven by hypothesis; by atheris for a moment where it is here; and what was found before."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import run
from fuzz.targets import SEEDS, TARGETS, Second, two_verifiers
from gate.second import second_verifier

TRIES = 250
EXECUTIONS = 10_000


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=run.LENGTH_MAX))
@settings(max_examples=TRIES, deadline=None)
def test_nothing_is_taken_that_was_not_written_by_us(target: str, data: bytes) -> None:
    TARGETS[target](data)


@pytest.mark.parametrize(
    ("target", "data"), [(target, seed) for target, seeds in SEEDS.items() for seed in seeds]
)
def test_what_the_fuzzer_begins_with_passes(target: str, data: bytes) -> None:
    TARGETS[target](data)


@pytest.fixture(scope="module")
def second() -> Iterator[Second]:
    """The verifier in JavaScript."""
    second = Second(second_verifier())
    yield second
    second.end()


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=32))
@settings(max_examples=60, deadline=None)
def test_two_verifiers_agree(second: Second, batch: list[bytes]) -> None:
    ask = two_verifiers(second)

    for data in batch:
        ask(data)
    second.compare()


# The check that is lost | the target that must find it
PLANTED: list[tuple[str, Any, str]] = [
    ("hansa.codes.ride.is_high_s", False, "verify_forged"),
    ("hansa.codes.ride.check_es256", True, "verify_forged"),
    ("hansa.codes.ride.check_eddsa", True, "verify_forged"),
    ("hansa.codes.lists.check_eddsa", True, "trust_list"),
    ("hansa.codes.lists.check_eddsa", True, "deny_list"),
    ("hansa.codes.lists.check_eddsa", True, "settings"),
    ("hansa.codes.ride._fault", None, "spoilt_code"),
]


@pytest.mark.parametrize(("name", "always", "target"), PLANTED)
def test_a_lost_check_is_found(name: str, always: Any, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = Random(target)

    def lost(*_: object) -> Any:
        return always

    def fuzz() -> None:
        for _ in range(3_000):
            TARGETS[target](dice.randbytes(dice.randrange(200)))

    monkeypatch.setattr(name, lost)

    with pytest.raises(AssertionError):
        fuzz()


@pytest.mark.parametrize(
    "file", [pytest.param(file, id=file.name) for file in sorted(run.REGRESSIONS.glob("*-*"))]
)
def test_what_was_found_once_stays_mended(file: Path) -> None:
    target = file.name.partition("-")[0]

    TARGETS[target](file.read_bytes())


def test_a_target_that_takes_what_it_must_not_is_told(tmp_path: Path) -> None:
    """The runner itself: it sees a crash."""
    python = run.environment(make=False)
    if python is None:
        pytest.skip("atheris is not here: `python tests/fuzz/run.py` gets it, where packages can be had")
    program = tmp_path / "falls.py"
    program.write_text(
        "import atheris, sys\n"
        "def ask(data):\n"
        "    assert len(data) < 3\n"
        "atheris.Setup(sys.argv, ask)\n"
        "atheris.Fuzz()\n"
    )

    ran = subprocess.run(
        [python, str(program), "-runs=20000", f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )

    assert ran.returncode != 0
    assert list(tmp_path.glob("crash-*"))


@pytest.mark.slow
@pytest.mark.parametrize("target", [*TARGETS, "two_verifiers"])
def test_a_moment_of_fuzzing_finds_nothing(target: str) -> None:
    python = run.environment(make=False)
    if python is None:
        pytest.skip("atheris is not here: `python tests/fuzz/run.py` gets it, where packages can be had")
    executions = max(1, int(EXECUTIONS * run.SHARES[target]))

    outcome = run.fuzzed(python, target, executions)

    assert outcome.crashes == 0, outcome.said
    assert outcome.executions >= executions
    assert outcome.coverage > 0


def test_every_target_has_its_share() -> None:
    assert set(run.SHARES) == {*TARGETS, "two_verifiers"}
    assert sys.version_info >= (3, 11)
