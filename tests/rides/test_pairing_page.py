"""Every row of docs/journeys.md comes out as it is written there, in any order of the taps."""

from random import Random

import pytest

from hansa.fares import LANGUAGES, PairingRules
from hansa.fares.wording.pairing import PAIRING
from hansa.kernel import fact_id
from hansa.rides.clocks import GateTap, correct_clock
from hansa.rides.pairing import pair
from rides.pairings import Row, clock, clock_rows, sections, told

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
        assert (note.amount, LANGUAGES) == (0, ("en", "zh", "fr"))
        assert note.rule not in note.said("en"), "there are English words for it"
        assert len({note.said(one) for one in LANGUAGES}) == 3, "and Chinese and French ones"


def test_each_note_is_shown_on_the_page() -> None:
    shown = {
        note.rule
        for _, rules, rows in sections()
        for row in rows
        for one in pair(row.taps, rules, row.evidence)
        for note in one.notes
    }

    assert shown == PAIRING["en"].keys() == PAIRING["zh"].keys() == PAIRING["fr"].keys()


@pytest.mark.parametrize(("reads", "codes", "came", "corrected"), clock_rows())
def test_a_row_of_the_table_of_clocks_comes_out_as_written(
    reads: str, codes: str, came: str, corrected: str
) -> None:
    by_gate = [clock(one) for one in reads.split(", ")]
    by_code = by_gate if codes == "as the gate" else [clock(one) for one in codes.split(", ")]
    received_at = clock("23:00" if came == "later" else came)
    taps = [
        GateTap(fact_id(None, "tap", number), number, read, made, bytes([number]), received_at)
        for number, (read, made) in enumerate(zip(by_gate, by_code, strict=True), 1)
    ]

    found = [
        f"{('first', 'second', 'third')[one.sequence - 1]}: {one.at:%H:%M} by {one.why}"
        for one in correct_clock(taps)
    ]

    assert "; ".join(found) == corrected
