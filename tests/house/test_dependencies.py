"""What we depend on is locked by hash and listed, and a machine without the advisory service is told so and passes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_tool", ROOT / "tools" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_is_locked_with_its_hash_and_listed(tool: ModuleType) -> None:
    python = tool.locked_python((ROOT / "uv.lock").read_text("utf-8"))
    browser = tool.locked_browser((ROOT / "package-lock.json").read_text("utf-8"))
    listed = tool.sbom(python, browser)

    assert len(python) > 40 and all(version and hashes for _, version, hashes in python)
    assert all(integrity.startswith("sha512-") for _, _, integrity in browser)
    assert len(listed["components"]) == len(python) + len(browser)
    assert "pkg:pypi/psycopg@" in json.dumps(listed)


@pytest.mark.parametrize(
    ("status", "output", "passes", "line"),
    [
        (0, "No known vulnerabilities found", True, "no known faults"),
        (1, "requests.exceptions.ConnectionError: Max retries exceeded", True, "nothing was checked"),
        (1, "npm error code ENOTFOUND", True, "nothing was checked"),
        (1, "jinja2 3.0 GHSA-xxxx-yyyy-zzzz fixed in 3.1", False, "known faults"),
        (1, "ConnectionError after jinja2 3.0 PYSEC-2021-66", False, "known faults"),
        (2, "usage: pip-audit", False, "the check itself failed"),
    ],
)
def test_a_known_fault_fails_and_an_unreached_service_does_not(
    tool: ModuleType, status: int, output: str, passes: bool, line: str
) -> None:
    fine, said = tool.told("Python", status, output)

    assert (fine, line in said) == (passes, True)
