"""Why a ride has no price: each reason has a name, and words in each language with the same figures."""

import re
from pathlib import Path
from string import Formatter

import pytest

from hansa import fares
from hansa.fares import LANGUAGES, Step, Unpriceable
from hansa.fares.wording.held import REASONS

SOURCES = Path(fares.__file__).parent.parent


def figures(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name}


def test_each_reason_has_words_in_each_language_with_figures_that_are_given() -> None:
    english, chinese, french = REASONS["en"], REASONS["zh"], REASONS["fr"]

    assert set(REASONS) == set(LANGUAGES)
    assert english.keys() == chinese.keys() == french.keys()
    for cause, words in english.items():
        assert figures(chinese[cause]) <= figures(words), cause
        assert figures(french[cause]) <= figures(words) and french[cause] != words, cause
        assert re.search("[\u4e00-\u9fff]", chinese[cause]), cause


def test_whoever_holds_a_ride_names_a_reason_that_has_words() -> None:
    named = set[str]()
    for path in [*SOURCES.glob("fares/**/*.py"), *SOURCES.glob("rides/**/*.py")]:
        named |= set(re.findall(r"Unpriceable\(\s*\"(\w+)\"", path.read_text()))

    assert named <= REASONS["en"].keys()
    assert len(named) > 30


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        (
            Unpriceable("no_row", {"origin": "A", "destination": "B"}),
            "the table has no row from A to B",
            "票价表中没有 A 至 B 一行",
        ),
        (
            Unpriceable("no_amount", {"band": "peak", "class": "senior"}),
            "the tariff has no peak amount for senior",
            "票价规则没有长者高峰时段的票价",
        ),
        (
            Unpriceable("beyond_bands", {"metres": 21_500}),
            "21,500 m is beyond the last distance band",
            "21,500 米超出最远的里程段",
        ),
        (
            Unpriceable("a reason of somebody's own"),
            "a reason of somebody's own",
            "a reason of somebody's own",
        ),
    ],
)
def test_a_held_ride_is_told_in_the_language_of_its_reader(
    reason: Unpriceable, english: str, chinese: str
) -> None:
    step = Step("held", 0, "EUR", reason.again().facts)

    assert (str(reason), step.facts["why"]) == (english, english)
    assert step.text == f"Held for the operator, nothing is charged: {english}"
    assert step.said("zh") == f"暂不收费，待运营方处理：{chinese}"
    assert (step.why("zh"), Step("flat", 0, "EUR").why("zh")) == (chinese, "")
