"""Persons: a day of birth stated once, levels and what they unlock, ages by country, names as others see them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from hansa import identity
from hansa.kernel import InvalidInput, Money
from hansa.store import Context, Tx
from identity.sealed import Keys
from identity.test_accounts import rider

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)
ONE = rider(1).account_id
LEVELS = identity.ProofLevel


@pytest.fixture
def tx(ctx: Context) -> Iterator[Tx]:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1)])
        yield tx


def test_a_day_of_birth_is_stated_once(tx: Tx) -> None:
    sealer = Keys().sealer()
    born = date(2014, 2, 28)

    identity.state_birth(tx, sealer, ONE, born, country="CN", at=AT)
    identity.state_birth(tx, sealer, ONE, born, country="CN", at=AT)
    with pytest.raises(identity.BirthKnown):
        identity.state_birth(tx, sealer, ONE, date(2000, 1, 1), country="CN", at=AT)

    birth = identity.find_birth(tx, sealer, ONE)
    assert birth is not None and (birth.born, birth.source) == (born, "stated")
    assert b"2014" not in tx.execute("select box from identity.births").fetchone()[0]  # type: ignore[index]


@pytest.mark.parametrize("born", [date(2026, 11, 18), date(1870, 1, 1)])
def test_nobody_alive_was_born_then(tx: Tx, born: date) -> None:
    with pytest.raises(InvalidInput, match="born"):
        identity.state_birth(tx, Keys().sealer(), ONE, born, country="CN", at=AT)

    assert tx.execute("select count(*) from identity.births").fetchone() == (0,)
    assert tx.execute("select count(*) from identity.data_keys").fetchone() == (0,)


# born | country | day | needs a guardian | is a minor
AGES = [
    (date(2012, 11, 18), "CN", date(2026, 11, 17), True, True),
    (date(2012, 11, 17), "CN", date(2026, 11, 17), False, True),
    (date(2013, 11, 17), "GB", date(2026, 11, 17), False, True),
    (date(2008, 11, 17), "GB", date(2026, 11, 17), False, False),
    (date(2008, 11, 18), "GB", date(2026, 11, 17), False, True),
    (date(2012, 2, 29), "GB", date(2025, 2, 28), True, True),
    (date(2012, 2, 29), "GB", date(2025, 3, 1), False, True),
    (date(2010, 1, 1), "ZZ", date(2026, 11, 17), True, True),
    (date(2005, 11, 17), "ZZ", date(2026, 11, 17), False, False),
]


@pytest.mark.parametrize(("born", "country", "day", "needs", "minor"), AGES)
def test_ages_by_country(born: date, country: str, day: date, needs: bool, minor: bool) -> None:
    assert identity.needs_guardian(born, country, day) is needs
    assert identity.is_minor(born, country, day) is minor
    assert not identity.needs_guardian(None, country, day)


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("高兰", "*兰"),
        ("欧阳修文", "***文"),
        ("Emily Tremblay", "Emily T."),
        ("Anna Maria von Berg", "Anna B."),
        ("Madonna", "M***"),
        ("", ""),
    ],
)
def test_names_as_others_see_them(name: str, masked: str) -> None:
    assert identity.masked_name(name) == masked


def test_higher_levels_unlock_more_and_an_issuer_may_say_otherwise() -> None:
    policy = identity.read_level_policy(
        """
        version = 1
        proof_years = 5
        checks_per_day = 5
        asks_max = 3
        [default.none]
        balance = { EUR = 15000 }
        [default.name]
        balance = { EUR = 200000 }
        year = { EUR = 900000 }
        [issuer.strict-card]
        second_account = "join"
        kept_days = 1826
        [issuer.strict-card.none]
        balance = { EUR = 0 }
        """
    )

    assert policy.caps("card", LEVELS.NONE, "EUR").balance == Money(15_000, "EUR")
    assert policy.caps("strict-card", LEVELS.NONE, "EUR").balance == Money(0, "EUR")
    assert policy.caps("strict-card", LEVELS.NAME, "EUR").year == Money(900_000, "EUR")
    assert policy.caps("card", LEVELS.DOCUMENT, "EUR").balance is None
    assert (policy.second_account("card"), policy.second_account("strict-card")) == ("refuse", "join")
    assert (policy.kept_days("card"), policy.kept_days("strict-card")) == (0, 1826)
    own = identity.own_level_policy()
    for unit in ("CNY", "EUR", "GBP", "HKD", "JPY", "CAD"):
        rows = [own.caps("any", level, unit) for level in LEVELS]
        assert all(one.balance is not None and one.year is not None for one in rows), unit


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("[default.name]\nbalance = { EUR = -1 }", "balance"),
        ("[default.name]\nbalance = { XXQ = 5 }", "levels.toml default.name.balance.XXQ"),
        ("[default.none]\nyear = { EUR = 9 }\n[default.name]\nyear = { EUR = 5 }", "less than a lower level"),
        ("nonsense = 1", "nonsense"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_by_its_field(line: str, named: str) -> None:
    text = f"version = 1\nproof_years = 5\nchecks_per_day = 5\nasks_max = 3\n{line}\n"
    if "[default" not in line:
        text += "[default]\n"

    with pytest.raises(InvalidInput, match=named):
        identity.read_level_policy(text)


def test_levels_of_many_are_read_at_once_and_of_nobody_is_none(tx: Tx) -> None:
    nobody = identity.AccountId(UUID(int=99))

    assert identity.proof_levels(tx, [ONE, nobody]) == {ONE: LEVELS.NONE, nobody: LEVELS.NONE}
    assert identity.proof_levels(tx, []) == {}
    assert LEVELS.NONE < LEVELS.CONTACT < LEVELS.NAME < LEVELS.DOCUMENT
