"""The reference and the schema say what the readers know, no more and no less; examples in the manual can be read."""

import datetime
import json
import re
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from fares.cases import CITIES, CLASSES, END, FLAT, HEAD
from hansa.fares import read_source, read_tariff, tariff_folder
from hansa.fares.schema import TABLES, reference, schema
from hansa.fares.tables import Table
from hansa.fares.tariff import TariffSource
from hansa.kernel import InvalidInput

DOCS = Path(__file__).parents[2] / "docs" / "tariffs"
OWN = (
    "beijing-subway",
    "hangzhou-metro",
    "hong-kong-mtr",
    "london-tfl",
    "toronto-ttc",
    "utsunomiya-lightline",
)
FILES = [*sorted(CITIES.glob("*/tariff.toml")), *(tariff_folder(name) / "tariff.toml" for name in OWN)]
VALIDATOR: Any = pytest.importorskip("jsonschema").Draft202012Validator(schema())


def as_json(value: Any) -> Any:
    """TOML as JSON: days as texts."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime.date) else value


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_schema_takes_every_tariff_there_is(file: Path) -> None:
    raw = tomllib.loads(file.read_text(encoding="utf-8"))

    assert [error.message for error in VALIDATOR.iter_errors(as_json(raw))] == []


def test_the_schema_refuses_what_is_misspelt() -> None:
    raw = as_json(tomllib.loads(FILES[0].read_text(encoding="utf-8")))
    raw["basis"]["grace"] = 99
    raw["classes"].pop("senior")

    assert len(list(VALIDATOR.iter_errors(raw))) == 2


def test_the_words_are_those_the_readers_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each table is read once with a field that no reader knows; the fault lists the fields it does know."""
    known: dict[str, set[str]] = {}
    done = Table.done

    def noting(self: Table) -> None:
        if self.present:
            path = re.sub(r"\[\d+\]", "", self.path)
            known.setdefault(path, set()).update(self._known)
        done(self)

    monkeypatch.setattr(Table, "done", noting)
    every = "\n".join(EVERY.values())
    for kind, basis in BASES.items():
        words = f'[basis]\nkind = "{kind.split()[0]}"\n{basis}'
        text = "\n".join(
            [HEAD, 'default_band = "day"\n', CLASSES, SUBSIDY, words, END, HABIT, PAIRING, every]
        )
        with nullcontext() if kind != "gtfs-v2" else pytest.raises(InvalidInput, match="problems"):
            read_source(TariffSource(text, {"fares.csv": "origin,destination,adult\na,b,100\n"}))

    for path, table in PATHS.items():
        words = {word.name for word in TABLES[table]}
        if table == "either":
            words = {"kind", "fare"}
        if table == "fare":
            words -= {word.name for word in TABLES["basis"]} - {"fare", "kind"}
        assert known[path] == words, path
    assert set(PATHS.values()) | {"classes", "line", "transfers", "categories", "medium"} == set(TABLES)


def test_the_pages_are_made_from_the_words() -> None:
    """Run ``python -m hansa.fares.schema docs/tariffs`` where this fails."""
    assert json.loads((DOCS / "schema.json").read_text(encoding="utf-8")) == schema()
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == reference()


EXAMPLES = [
    (page, number, block.split("```")[0])
    for page in ("README.md", "examples.md")
    for number, block in enumerate((DOCS / page).read_text(encoding="utf-8").split("```toml\n")[1:])
]


@pytest.mark.parametrize(("page", "number", "block"), EXAMPLES, ids=lambda part: str(part)[:12])
def test_every_example_of_the_manual_can_be_read(page: str, number: int, block: str) -> None:
    """With what it leaves out put around it."""
    text = block
    if "format = 1" not in block:
        top, _, rest = _top(block)
        text = HEAD + top + rest
    text += "" if "[classes.adult]" in text else CLASSES
    text += "" if re.search(r"^\[basis\]", text, re.MULTILINE) else ZONED if "zones" in block else FLAT
    text += "" if "[journey]" in text else "[journey]\nmax_minutes = 240\n"
    if "[incomplete]" not in text:
        own = re.findall(r"\[classes\.(\w+)\]\ncolumn = true", text)
        price = ", ".join(f'{name} = "9.00"' for name in ("adult", *own))
        text += f"[incomplete]\nfare = {{ {price} }}\n"
    if "[classes.student]\ncolumn = true" in text and "kind" not in block:
        text = text.replace(
            '[basis]\nkind = "flat"\nfare = "2.00"',
            '[basis]\nkind = "flat"\nfare = { adult = "2.00", student = "1.00" }',
        )
    if 'kind = "zones"' in block:
        text = text.replace("[[basis.span]]", _other_spans(block) + "[[basis.span]]", 1)
    for missing in ("peak", "off-peak"):
        if missing in text and 'name = "peak"' not in text:
            text = text.replace("format = 1\n", 'format = 1\ndefault_band = "off-peak"\n', 1)
            text += '[[band]]\nname = "peak"\ndays = ["mon"]\nfrom = "07:00"\nto = "09:00"\n'
    table = (
        "origin,destination,metres\na,b,490\n"
        if '"table"' in block
        else "origin,destination,adult\na,b,490\n"
    )

    tariff = read_source(TariffSource(text, {"fares.csv": table}))

    assert tariff.currency


def _other_spans(block: str) -> str:
    """The spans of zones 1 to 3 that an example leaves out."""
    said = {
        span for zones in re.findall(r"^zones = \[(.*)\]", block, re.MULTILINE) for span in zones.split(", ")
    }
    spans = ['"1"', '"2"', '"3"', '"1-2"', '"2-3"', '"1-3"']
    return f'[[basis.span]]\nzones = [{", ".join(one for one in spans if one not in said)}]\nfare = "2.00"\n'


def _top(block: str) -> tuple[str, str, str]:
    """The fields above the first heading, and the rest."""
    match = re.search(r"^\[", block, re.MULTILINE)
    at = match.start() if match else len(block)
    return block[:at], "", block[at:]


def test_every_city_of_the_tests_can_be_read_from_its_folder() -> None:
    assert len([read_tariff(folder) for folder in CITIES.iterdir()]) >= 10


ZONED = """
[basis]
kind = "zones"
order = ["1", "2", "3"]
[[basis.span]]
zones = ["1", "2", "3", "1-2", "2-3", "1-3"]
fare = "2.00"
"""
SUBSIDY = """
[classes.youth]
percent = 50
subsidy = { payer = "x", percent = 5 }
rounding = { step = "0.05", mode = "up" }
"""
HABIT = "habit = { percent = 80, rides = 5 }\n"
PAIRING = "[pairing]\nstated = { per_month = 3 }\n"
BASES = {
    "flat": 'fare = "2.00"\n',
    "lines": '[basis.line]\n"1" = "2.00"\n',
    "distance": '[[basis.band]]\nup_to_m = 1000\nfare = "1.00"\n[basis.beyond]\nevery_m = 1000\nadd = "0.10"\n',
    "rate": '[[basis.rate]]\nper_km = "0.1"\n',
    "distance by stops": """measure = "stops"
[[basis.band]]
up_to_stops = 3
fare = "1.00"
[[basis.beyond]]
every_stops = 2
up_to_stops = 9
add = "0.10"
""",
    "distance by minutes": """measure = "minutes"
[[basis.band]]
up_to_minutes = 30
fare = "1.00"
[[basis.beyond]]
every_minutes = 2
up_to_minutes = 90
add = "0.10"
""",
    "rate by stops": 'measure = "stops"\n[[basis.rate]]\nper_stop = "0.1"\n',
    "rate by minutes": 'measure = "minutes"\n[[basis.rate]]\nper_minute = "0.1"\n',
    "rate for all by stops": 'measure = "stops"\nper_stop = "0.1"\n',
    "rate for all by minutes": 'measure = "minutes"\nper_minute = "0.1"\n',
    "rate for all": 'per_km = "0.1"\n',
    "cheapest": '[[basis.either]]\nkind = "flat"\nfare = "2.00"\n' * 2,
    "zones": ZONED.split('kind = "zones"\n')[1],
    "zone-sets": '[[basis.set]]\nzones = ["A"]\nfare = "1.00"\n',
    "zone-count": '[[basis.count]]\nzones = 1\nfare = "1.00"\n',
    "pairs": 'file = "fares.csv"\namounts = "minor"\n',
    "gtfs-v2": 'apart_minutes = 120\n[basis.categories]\nchild = "half"\n[basis.medium]\n',
}
EVERY = {
    "band": '[[band]]\nname = "rush"\ndays = ["mon"]\nfrom = "07:00"\nto = "09:00"\n',
    "season": '[[season]]\nname = "summer"\nfrom = "06-15"\nuntil = "09-15"\ndates = [2026-12-24]\n',
    "fare": '[[fare]]\nname = "x"\nproducts = ["bus"]\nkind = "flat"\nfare = "1.00"\n',
    "override": '[[override]]\nname = "x"\nstops = ["a"]\nfare = "1.00"\n',
    "fee": '[[fee]]\nname = "x"\namount = "1.00"\nmost = { period = "week", amount = "5.00" }\n',
    "discount": '[[discount]]\nname = "x"\npercent = 50\nproducts = ["bus"]\n',
    "join": '[[join]]\nname = "x"\nwithin_minutes = 20\nbefore = { products = ["bus"] }\n',
    "transfer": """[[transfer]]
window_from = "exit"
window_minutes = 20
percent = 0
after = { products = ["bus"] }
""",
    "pass": '[[pass]]\nname = "x"\n',
    "tier": """[[tier]]
period = "month"
from = "5.00"
percent = 50
[[tier]]
period = "week"
from_rides = 5
percent = 50
""",
    "cap": '[[cap]]\nperiod = "day"\namount = "9.00"\n',
    "carnet": '[[carnet]]\nname = "x"\nrides = 4\nfare = "5.00"\n',
}
PATHS = {
    "": "",
    "classes.adult": "class",
    "classes.youth.subsidy": "subsidy",
    "classes.youth.rounding": "rounding",
    "basis": "basis",
    "basis.band": "distance band",
    "basis.beyond": "beyond",
    "basis.rate": "rate",
    "basis.either": "either",
    "basis.span": "span",
    "basis.set": "set",
    "basis.count": "count",
    "journey": "journey",
    "pairing": "pairing",
    "pairing.stated": "stated",
    "incomplete": "incomplete",
    "incomplete.habit": "habit",
    "band": "band",
    "season": "season",
    "fare": "fare",
    "override": "override",
    "fee": "fee",
    "fee.most": "most",
    "discount": "discount",
    "join": "join",
    "join.before": "condition",
    "transfer": "transfer",
    "pass": "pass",
    "tier": "tier",
    "cap": "cap",
    "carnet": "carnet",
}


def test_each_test_that_the_manual_names_is_there() -> None:
    """The table of rules names the tests that prove them; cities that it says are checked have their folder."""
    page = (DOCS / "README.md").read_text(encoding="utf-8")
    rules, _, cities = page.partition("## Cities, and how they are said")
    tests = "\n".join(
        file.read_text(encoding="utf-8") for file in Path(__file__).parents[1].rglob("test_*.py")
    )
    there = set(re.findall(r"^\s*(?:async )?def (test_\w+)", tests, re.MULTILINE))
    rows = [line for line in rules.splitlines() if line.startswith("|") and "`test_" in line]

    assert len(rows) >= 50
    for row in rows:
        assert set(re.findall(r"`(test_\w+)`", row.split("|")[3])) <= there, row
    checked = set(re.findall(r"`([\w-]+)` \|$", cities, re.MULTILINE))
    assert checked == {folder.name for folder in CITIES.iterdir()}
