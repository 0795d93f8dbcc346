"""Every row of docs/journeys.md comes out as it is written there, in any order of the taps."""

from random import Random

import pytest

from hansa.fares import LANGUAGES, PairingRules
from hansa.rides.pairing import pair
from rides.pairings import Row, sections, told

ROWS = [
    pytest.param(rules, row, id=f"{heading} {number}")
    for heading, rules, rows in sections()
    for number, row in enumerate(rows, 1)
]


@pytest.mark.parametrize(("rules", "row"), ROWS)
def test_a_row_of_the_page_comes_out_as_written(rules: PairingRules, row: Row) -> None:
    shuffled = [*row.taps, *row.taps]
    Random(1).shuffle(shuffled)

    paired = pair(row.taps, rules, row.evidence, name_of=str.upper)

    assert told(paired) == (row.journeys, row.notes)
    assert pair(shuffled, rules, row.evidence, name_of=str.upper) == paired
    for note in (note for one in paired for note in one.notes):
        assert (note.amount, LANGUAGES) == (0, ("en", "zh"))
        assert note.rule not in note.said("en"), "there are English words for it"
        assert note.said("zh") != note.said("en"), "and Chinese ones"


def test_each_note_is_shown_on_the_page() -> None:
    from hansa.fares.wording.pairing import PAIRING

    shown = {
        note.rule
        for _, rules, rows in sections()
        for row in rows
        for one in pair(row.taps, rules, row.evidence)
        for note in one.notes
    }

    assert shown == PAIRING["en"].keys() == PAIRING["zh"].keys()
