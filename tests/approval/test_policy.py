"""The table of policy, row by row as docs/approval.md prints it; it never gets weaker when a payment gets riskier."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import approval
from hansa.approval import ApprovalLevel, BadPolicy, Channel, Risk, own_policy, required
from hansa.approval.policy import BANDS, Rules

POLICY = own_policy()
DOCS = Path(__file__).parents[2] / "docs" / "approval.md"

EVERYDAY = Risk(
    channel=Channel.QR, band=0, payee=0, proof=2, count_in_hour=1, hour_band=0, day_band=0, session_h=0
)

# channel, band, payee, what else -> level. An accountant's table: read it from left to right.
TABLE = """
mandate | small    | known  |                 | code
mandate | large    | new    |                 | code
mandate | great    | known  |                 | passkey
code    | small    | new    |                 | code
code    | everyday | known  |                 | pin
code    | large    | known  |                 | passkey
code    | great    | new    |                 | passkey_delay
qr      | small    | new    |                 | session
qr      | everyday | known  |                 | pin
qr      | everyday | recent |                 | pin
qr      | everyday | new    |                 | passkey
qr      | large    | known  |                 | passkey
qr      | great    | known  |                 | passkey
qr      | great    | recent |                 | passkey_delay
qr      | huge     | known  |                 | passkey_delay
online  | small    | known  |                 | session
online  | everyday | new    |                 | passkey
person  | small    | known  |                 | session
person  | small    | new    |                 | pin
person  | everyday | known  |                 | pin
person  | large    | known  |                 | passkey
bank    | small    | known  |                 | passkey
bank    | everyday | new    |                 | passkey
bank    | large    | known  |                 | passkey
bank    | large    | new    |                 | passkey_delay
bank    | huge     | known  |                 | passkey_delay
qr      | everyday | known  | credential_h=23 | passkey
qr      | everyday | known  | credential_h=24 | pin
qr      | large    | known  | credential_h=0  | passkey_delay
code    | small    | known  | credential_h=0  | code
qr      | small    | known  | session_h=23    | session
qr      | small    | known  | session_h=24    | pin
qr      | small    | known  | count_in_hour=9 | session
qr      | small    | known  | count_in_hour=10 | pin
code    | small    | known  | count_in_hour=30 | passkey
mandate | small    | known  | count_in_hour=99 | code
qr      | small    | known  | hour_band=2     | pin
qr      | small    | known  | day_band=3      | passkey
online  | large    | known  | proof=1         | passkey_delay
qr      | large    | known  | proof=1         | passkey
online  | large    | known  | proof=2         | passkey
qr      | small    | known  | recovered_h=1   | session
qr      | everyday | known  | recovered_h=71  | passkey
qr      | large    | known  | recovered_h=71  | passkey_delay
qr      | large    | known  | recovered_h=72  | passkey
qr      | large    | known  | guarded=1       | second_person
qr      | everyday | known  | guarded=1       | pin
mandate | large    | known  | guarded=1       | code
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines())
def test_each_line_of_the_table(line: str) -> None:
    channel, band, payee, more, level = (part.strip() for part in line.split("|"))
    name, _, value = more.partition("=")
    changes: dict[str, int] = {name: int(value)} if name else {}
    risk = EVERYDAY._replace(
        channel=Channel(channel),
        band=BANDS.index(band),  # pyright: ignore[reportArgumentType]
        payee=("known", "recent", "new").index(payee),
        **changes,  # pyright: ignore[reportArgumentType]
    )

    assert required(POLICY.rows, risk)[0].word == level


RISKS = st.builds(
    Risk,
    channel=st.sampled_from(Channel),
    band=st.integers(0, 4),
    payee=st.integers(0, 2),
    proof=st.integers(0, 3),
    count_in_hour=st.integers(1, 40),
    hour_band=st.integers(0, 4),
    day_band=st.integers(0, 4),
    credential_h=st.none() | st.integers(0, 50),
    session_h=st.none() | st.integers(0, 50),
    recovered_h=st.none() | st.integers(0, 100),
    guarded=st.booleans(),
)

RISKIER: dict[str, Callable[[Any], Any]] = {
    "band": lambda value: value + 1,
    "payee": lambda value: value + 1,
    "proof": lambda value: value - 1,
    "count_in_hour": lambda value: value + 10,
    "hour_band": lambda value: value + 1,
    "day_band": lambda value: value + 1,
    "credential_h": lambda value: 0,
    "session_h": lambda value: (value or 0) + 24,
    "recovered_h": lambda value: 0,
    "guarded": lambda value: True,
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(RISKS, st.sampled_from(sorted(RISKIER)))
def test_it_never_gets_weaker_when_a_payment_gets_riskier(risk: Risk, name: str) -> None:
    riskier = risk._replace(**{name: RISKIER[name](getattr(risk, name))})

    assert required(POLICY.rows, riskier)[0] >= required(POLICY.rows, risk)[0]


def test_every_measure_of_risk_is_made_riskier_above() -> None:
    assert set(Risk._fields) == RISKIER.keys() | {"channel"}


@settings(max_examples=200, deadline=None)
@given(RISKS)
def test_money_to_a_bank_needs_no_less_than_to_a_person_and_that_no_less_than_a_shop(risk: Risk) -> None:
    levels = [
        required(POLICY.rows, risk._replace(channel=one))[0]
        for one in (Channel.QR, Channel.ONLINE, Channel.PERSON, Channel.BANK)
    ]

    assert levels == sorted(levels)


@settings(max_examples=300, deadline=None)
@given(RISKS, st.integers(1, 10**8), st.sampled_from(sorted(POLICY.units)), st.booleans())
def test_what_is_worked_out_before_is_what_the_policy_says(
    risk: Risk, minor: int, currency: str, recovered: bool
) -> None:
    rules = Rules(POLICY)

    assert rules.required(risk) == rules.required(risk) == required(POLICY.rows, risk)
    assert rules.band_of(minor, currency) == POLICY.band_of(minor, currency)
    assert rules.ceiling(risk.proof, currency, recovered=recovered) == POLICY.ceiling(
        risk.proof, currency, recovered=recovered
    )


def test_reasons_are_those_of_the_strictest_rows() -> None:
    level, reasons = required(POLICY.rows, EVERYDAY._replace(band=1, payee=2, credential_h=1))

    assert level == ApprovalLevel.PASSKEY
    assert [one.name for one in reasons] == ["new_payee", "new_credential"]


def test_amounts_are_measured_in_units_of_their_currency() -> None:
    bands = [POLICY.band_of(minor, "CNY") for minor in (100_00, 100_01, 500_01, 5_000_01, 50_000_01)]

    assert bands == [0, 1, 2, 3, 4]
    assert POLICY.band_of(2_000, "JPY") == 0 and POLICY.band_of(2_001, "JPY") == 1


def test_ceilings_are_lower_after_a_recovery() -> None:
    assert POLICY.ceiling(0, "CNY", recovered=False) == (2_000_00, 5_000_00, 20_000_00)
    assert POLICY.ceiling(0, "CNY", recovered=True) == (200_00, 500_00, 2_000_00)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ("[units]\nXXX = 5", "units.XXX"),
        ("[bands]\nsmall = 5\neveryday = 5\nlarge = 6\ngreat = 7", "bands"),
        ("[ceilings.none]\npayment = 1\nday = 1\nmonth = 1", "ceilings.contact"),
        ("[waits]\nraise_h = 0\ndelay_h = 1\nsecond_person_h = 1\nexpires_min = 1", "own"),
        ("[[rows]]\nname = 'all'\nneeds = 'pin'\nbecause = 'why'", "row 'all' because"),
        ("[[rows]]\nname = 'qr'\nneeds = 'pin'\nbecause = 'any'\nchannels = ['qr']", "rows"),
        ("[[rows]]\nname = 'qr'\nneeds = 'finger'\nbecause = 'any'", "own"),
        ("surprise = 1", "own"),
        ("not toml", "own"),
    ],
)
def test_a_policy_with_a_fault_is_refused_by_its_field(changed: str, where: str) -> None:
    with pytest.raises(BadPolicy) as told:
        approval.read_policy(changed, under=POLICY, where="own")

    assert any(one.where.removeprefix("own ") == where for one in told.value.problems), told.value


def test_every_reason_that_a_row_gives_is_a_sentence() -> None:
    assert {row.because for row in POLICY.rows} <= approval.REASONS.keys()


def test_the_docs_print_the_rows_as_they_are() -> None:
    printed = re.findall(
        r"^\| ([^|]+?) \| ([^|]*?) \| ([^|]*?) \| ([^|]*?) \| `(\w+)` \|$", DOCS.read_text(), re.M
    )

    assert [(name, level) for name, *_, level in printed] == [(row.name, row.needs) for row in POLICY.rows]
    for (_, channels, band, _, _), row in zip(printed, POLICY.rows, strict=True):
        everywhere = len(row.channels) == len(Channel)
        assert channels == ("any" if everywhere else ", ".join(one.value for one in row.channels))
        assert band == ("any" if row.band == "small" else f"{row.band} or more")
