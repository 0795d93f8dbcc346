"""The page about webhooks says what the code does."""

import re
from pathlib import Path

from hansa.webhooks import TYPES
from hansa.webhooks.model import RETRIES_S

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_the_table_of_types_is_the_code() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)

    told = [
        (name, what, dict(re.findall(r"`(\w+)`: ([^`]*?)(?:; (?=`)|$)", data))) for name, what, data in rows
    ]
    assert [one for one in told if "." in one[0]] == [(one.name, one.what, dict(one.data)) for one in TYPES]


def test_types_are_named_as_the_standard_wants() -> None:
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", one.name) for one in TYPES)
    assert len({one.name for one in TYPES}) == len(TYPES)


def test_the_schedule_is_the_code() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    line = re.search(r"\*\*Tried again\*\* after (.+?), each", PAGE, re.DOTALL)

    assert line is not None
    told = re.findall(r"(\d+) (s|min|h)\b", line.group(1))
    assert tuple(int(number) * units[unit] for number, unit in told) == RETRIES_S
