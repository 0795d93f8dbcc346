"""The page on OWASP ASVS 5.0 has every item of level 1 and 2, and each test that it names is there."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security" / "asvs.md"

# Numbers of the items of level 1 and 2 of ASVS 5.0.0, by chapter: section, colon, items.
ITEMS = {
    1: "1:1,2 2:1,2,3,4,5,6,7,8,9 3:1,2,3,4,5,6,7,8,9,10,11 4:1,2,3 5:1,2",
    2: "1:1,2,3 2:1,2,3 3:1,2,3,4 4:1",
    3: "2:1,2 3:1,2,3,4 4:1,2,3,4,5,6 5:1,2,3,4,5 7:1,2",
    4: "1:1,2,3 2:1 3:1,2 4:1,2,3,4",
    5: "1:1 2:1,2,3 3:1,2 4:1,2,3",
    6: "1:1,2,3 2:1,2,3,4,5,6,7,8,9,10,11,12 3:1,2,3,4 4:1,2,3,4 5:1,2,3,4,5 6:1,2,3 8:1,2,3,4",
    7: "1:1,2,3 2:1,2,3,4 3:1,2 4:1,2,3,4,5 5:1,2 6:1,2",
    8: "1:1,2 2:1,2,3 3:1 4:1",
    9: "1:1,2,3 2:1,2,3,4",
    10: "1:1,2 2:1,2 3:1,2,3,4 4:1,2,3,4,5,6,7,8,9,10,11 5:1,2,3,4,5 6:1,2 7:1,2,3",
    11: "1:1,2 2:1,2,3 3:1,2,3 4:1,2,3,4 5:1 6:1",
    12: "1:1,2,3 2:1,2 3:1,2,3,4",
    13: "1:1 2:1,2,3,4,5 3:1,2 4:1,2,3,4,5",
    14: "1:1,2 2:1,2,3,4 3:1,2,3",
    15: "1:1,2,3 2:1,2,3 3:1,2,3,4,5,6,7",
    16: "1:1 2:1,2,3,4,5 3:1,2,3,4 4:1,2,3 5:1,2,3",
    17: "1:1 2:1,2,3,4 3:1,2",
}


def _rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| V")]


@cache
def _names_of(path: str) -> frozenset[str]:
    file = ROOT / path
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


def test_every_item_of_both_levels_has_its_row_and_no_other_has() -> None:
    wanted = [
        f"V{chapter}.{section}.{item}"
        for chapter, sections in ITEMS.items()
        for section, items in (one.split(":") for one in sections.split())
        for item in items.split(",")
    ]

    assert [row[0] for row in _rows()] == wanted
    assert len(wanted) == 253


def test_every_row_says_how_with_tests_that_are_there_or_why_not() -> None:
    for name, level, asked, how, shown in _rows():
        tests = re.findall(r"`(tests/[^`]+)`", shown)
        assert level in ("1", "2") and asked, name
        if not tests:
            assert len(shown) >= 8, name
            continue
        assert how != "–", name
        for test in tests:
            path, _, function = test.partition("::")
            assert function in _names_of(path), (name, test)
