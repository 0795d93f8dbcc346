"""`make changed` chooses what stands near, the house with it, and never hides that tests are left."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tools" / "changed.py"


@pytest.fixture(scope="module")
def changed() -> ModuleType:
    spec = spec_from_file_location("changed", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("file", "near"),
    [
        ("tests/approval/test_pins.py", "tests/approval/test_pins.py"),
        ("src/hansa/approval/pins.py", "tests/approval/test_pins.py"),
        ("src/hansa/approval/policy.toml", "tests/approval/test_policy.py"),
        ("src/hansa/apps/web/templates/developers/room.html", "tests/web/test_web_developers.py"),
        ("src/hansa/apps/web/words/fr/developers.toml", "tests/web/test_web_languages.py"),
        ("tests/merchants/shops.py", "tests/web/test_web_pay.py"),
        ("docs/security/asvs.md", "tests/house/test_asvs.py"),
    ],
)
def test_what_a_file_bears_upon_is_chosen_with_the_house(changed: ModuleType, file: str, near: str) -> None:
    assert ROOT / near in changed.tests_near(ROOT / file)
    chosen = changed.chosen([ROOT / file])

    assert ROOT / near in chosen and PROGRAM.parents[1] / "tests/house/test_code.py" in chosen
    assert len(chosen) < len(changed.texts()) / 3


def test_a_test_that_was_changed_comes_first(changed: ModuleType) -> None:
    files = [ROOT / "src/hansa/approval/pins.py", ROOT / "tests/wallets/test_requests.py"]

    assert changed.chosen(files)[0] == files[1]


def test_what_there_was_no_time_for_is_known(changed: ModuleType) -> None:
    session = SimpleNamespace(items=[SimpleNamespace(nodeid=one) for one in "abc"], shouldstop=False)
    until = changed.Until(seconds=-1)

    until.pytest_collection_finish(session)
    until.pytest_runtest_logfinish("a")

    assert until.left == ["b", "c"] and session.shouldstop == "the time is over, 2 tests are left"
