"""docs/wallets.md says what the code does: states and their ways, and what the simulated bank does."""

import re
from pathlib import Path

from hansa.apps.bank.people_bank import ENDINGS, MEANING, PeopleMishap
from hansa.wallets.model import WAYS, State

PAGE = (Path(__file__).parents[2] / "docs" / "wallets.md").read_text(encoding="utf-8")


def test_the_table_of_a_transfers_states_is_the_codes() -> None:
    told: dict[State, frozenset[State]] = {}
    table = PAGE[PAGE.index("| state of a transfer") :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        left, right = line.strip("|").split("|")
        for state in re.findall(r"`(\w+)`", left):
            told[State(state)] = frozenset(State(one) for one in re.findall(r"`(\w+)`", right))

    assert told == dict(WAYS)


def test_the_table_of_the_simulated_bank_is_the_codes() -> None:
    told = dict(re.findall(r"^\| `(\d{4})` \| (.+) \|$", PAGE, re.MULTILINE))

    assert told == {ending: MEANING[mishap] for ending, mishap in ENDINGS.items()}
    assert set(MEANING) == set(PeopleMishap)
