"""Accounts: opened in bulk, found again, never changed by opening them twice."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import identity
from hansa.kernel import fact_id
from hansa.store import Context

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)


def rider(
    number: int, *, city: str = "beijing", rider_class: identity.RiderClass = "adult"
) -> identity.Account:
    return identity.Account(
        account_id=identity.AccountId(fact_id(None, "rider", number)),
        name=f"Rider {number}",
        issuer_id=f"{city}-card",
        home_city_id=city,
        rider_class=rider_class,
        language="en",
        created_at=AT,
    )


def test_an_account_is_found_as_it_was_opened(ctx: Context) -> None:
    account = rider(1)

    with ctx.tx() as tx:
        opened = identity.open_accounts(tx, [account])

        assert opened == 1
        assert identity.get_account(tx, account.account_id) == account


def test_opening_an_account_again_is_harmless(ctx: Context) -> None:
    accounts = [rider(n) for n in range(3)]

    with ctx.tx() as tx:
        identity.open_accounts(tx, accounts[:2])

        assert identity.open_accounts(tx, accounts) == 1
        assert len(identity.list_accounts(tx)) == 3


def test_an_id_that_is_taken_by_another_body_is_refused_and_nothing_is_opened(ctx: Context) -> None:
    account = rider(1)
    with ctx.tx() as tx:
        identity.open_accounts(tx, [account])

    with ctx.tx() as tx, pytest.raises(identity.AccountDiffers):
        identity.open_accounts(tx, [rider(2), replace(account, name="Somebody else")])

    with ctx.tx() as tx:
        assert identity.list_accounts(tx) == [account]


def test_an_unknown_account_is_told(ctx: Context) -> None:
    nobody = identity.AccountId(UUID(int=7))

    with ctx.tx() as tx:
        assert identity.find_account(tx, nobody) is None
        with pytest.raises(identity.UnknownAccount):
            identity.get_account(tx, nobody)


def test_a_bulk_larger_than_one_statement_is_opened_whole(ctx: Context) -> None:
    accounts = [rider(n) for n in range(9000)]

    with ctx.tx() as tx:
        assert identity.open_accounts(tx, accounts) == 9000


def test_a_list_is_read_page_by_page(ctx: Context) -> None:
    accounts = sorted((rider(n) for n in range(7)), key=lambda account: account.account_id)
    with ctx.tx() as tx:
        identity.open_accounts(tx, accounts)

        first = identity.list_accounts(tx, limit=5)
        second = identity.list_accounts(tx, after=first[-1].account_id, limit=5)

    assert first + second == accounts


@pytest.mark.parametrize(
    ("text", "city", "found"),
    [
        ("rider 1", "", ["Rider 1", "Rider 10"]),
        ("RIDER 10", "", ["Rider 10"]),
        ("", "london", ["Rider 2"]),
        ("%", "", []),
        ("\0", "london", ["Rider 2"]),
    ],
)
def test_search_reads_names_as_they_are_written(ctx: Context, text: str, city: str, found: list[str]) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2, city="london"), rider(10)])

        names = [account.name for account in identity.search_accounts(tx, text, city_id=city)]

    assert names == found


def test_a_sample_shows_every_city_and_class(ctx: Context) -> None:
    with ctx.tx() as tx:
        identity.open_accounts(
            tx, [rider(1), rider(2), rider(3, rider_class="child"), rider(4, city="london")]
        )

        sample = identity.sample_accounts(tx)

    assert {(one.home_city_id, one.rider_class) for one in sample} == {
        ("beijing", "adult"),
        ("beijing", "child"),
        ("london", "adult"),
    }
    assert len(sample) == 3


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=200).filter(lambda text: "\0" not in text and text.isprintable()))
def test_any_name_people_have_comes_back_unchanged(ctx: Context, name: str) -> None:
    account = replace(rider(1), account_id=identity.AccountId(fact_id(None, "named", name)), name=name)

    with ctx.tx() as tx:
        identity.open_accounts(tx, [account])

        assert identity.get_account(tx, account.account_id).name == name
