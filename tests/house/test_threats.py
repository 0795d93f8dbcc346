"""The threat model names a test for each row, and each test that it names is there."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security" / "threats.md"
AREAS = {
    "Codes",
    "Gates",
    "Lists and keys",
    "Devices and their broker",
    "Phones and accounts",
    "Intake",
    "Fraud afterwards",
    "Privacy",
    "Physical",
    "People",
    "Payments",
    "Developers",
    "Console",
    "Shops and tickets",
    "Names and personal data",
    "Spending",
}
HEAD = ["no", "attacker", "attack", "defence", "test"]


@dataclass(frozen=True)
class Threat:
    """A row of the page. tests: ``path::name`` from the project's folder."""

    area: str
    number: str
    attacker: str
    attack: str
    defence: str
    tests: tuple[str, ...]


def threats(page: str) -> list[Threat]:
    """The rows of all tables under the headings."""
    found: list[Threat] = []
    area, in_table = "", False
    for line in page.splitlines():
        if line.startswith("## "):
            area, in_table = line.removeprefix("## "), False
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if cells == HEAD:
            in_table = True
        elif not cells:
            in_table = False
        elif in_table and set("".join(cells)) - {"-", ":"}:
            number, attacker, attack, defence, tests = cells
            found.append(
                Threat(area, number, attacker, attack, defence, tuple(re.findall(r"`([^`]+)`", tests)))
            )
    return found


@cache
def names_in(path: Path) -> frozenset[str]:
    """The test functions of a file."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    file = ROOT / path
    return path.startswith("tests/") and file.is_file() and name in names_in(file)


THREATS = threats(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: f"{threat.number} {threat.attack[:40]}")
def test_each_row_is_whole_and_its_tests_are_there(threat: Threat) -> None:
    assert threat.attacker and threat.attack and threat.defence
    assert threat.tests, "name the test that shows the defence"
    assert [test for test in threat.tests if not is_there(test)] == []


def test_the_page_has_all_areas_and_numbers_its_rows() -> None:
    assert {threat.area for threat in THREATS} == AREAS
    assert [threat.number for threat in THREATS] == [str(n) for n in range(1, len(THREATS) + 1)]
    assert len(THREATS) >= 40
    assert len({threat.attack for threat in THREATS}) == len(THREATS)


PLANTED = """## Codes
| no | attacker | attack | defence | test |
|---|---|---|---|---|
| 1 | a | b | c | `tests/house/test_threats.py::test_that_nobody_wrote` |
| 2 | a | b | c | `tests/house/test_threats.py::is_there` |
| 3 | a | b | c | `tests/no_such_file.py::test_a` |
| 4 | a | b | c | `src/hansa/codes/ride.py::test_a` |
| 5 | a | b | c | |
| 6 | a | b | c | `tests/house/test_threats.py::test_a_test_that_is_not_there_is_seen` |
"""


def test_a_test_that_is_not_there_is_seen() -> None:
    planted = threats(PLANTED)

    assert [bool(one.tests) and all(map(is_there, one.tests)) for one in planted] == [False] * 5 + [True]
