"""A few people at two issuers in three ledger partitions, with money, and the sums that must hold at all times."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hansa import identity, ledger, payments, trust
from hansa.kernel import BUCKETS, Directory, Money, fact_id
from hansa.ledger import AccountCode
from hansa.store import Context
from scratch import NOON

ISSUERS = ("hangzhou-card", "toronto-card")
PARTITIONS = 3
START = 100_00


class Killed(Exception):
    """The process was killed here."""


def killed_after(steps: int) -> Callable[[str], None]:
    """A watcher that pulls the plug at the so-many-th step; 0: never."""
    seen = 0

    def watch(name: str) -> None:
        nonlocal seen
        seen += 1
        if seen == steps:
            raise Killed(name)

    return watch


def spread(ctx: Context, partitions: int = PARTITIONS) -> Context:
    """The same, with people's money spread over partitions."""
    return replace(ctx, directory=Directory(1, tuple(bucket % partitions for bucket in range(BUCKETS))))


def person(number: int) -> identity.Account:
    issuer = ISSUERS[number % 2]
    return identity.Account(
        identity.AccountId(fact_id(None, "person", number)),
        f"Person{number} Family{number}",
        issuer,
        issuer.removesuffix("-card"),
        "adult",
        "en",
        NOON - timedelta(days=30),
    )


def open_people(
    ctx: Context, count: int = 4, *, minor: int = START, currency: str = "CNY"
) -> list[identity.Account]:
    """People with so much money each; even ones at the first issuer, odd ones at the second."""
    people = [person(number) for number in range(count)]
    roles: dict[str, trust.Role] = {"league": "league", **dict.fromkeys(ISSUERS, "issuer")}
    members = [
        trust.Member(trust.MemberId(name), name, role, None, trust.MemberId(name), f"TEST-{name}")
        for name, role in roles.items()
    ]
    with ctx.tx() as tx:
        trust.add_members(tx, members)
        identity.open_accounts(tx, people)
    payments.open_member_accounts(ctx, ISSUERS, [currency])
    payments.open_wallets(ctx, [(one, currency) for one in people])
    if minor:
        payments.top_up(
            ctx,
            [
                payments.TopUp(
                    fact_id(NOON, "first", one.account_id),
                    one.account_id,
                    one.issuer_id,
                    Money(minor, currency),
                    NOON,
                )
                for one in people
            ],
        )
    return people


def held(ctx: Context, account: identity.Account, currency: str = "CNY") -> int:
    """What a wallet holds; nothing where there is none."""
    with ctx.tx() as tx:
        partition = ctx.directory.partition_of(account.account_id)
        balances = payments.balance_of(tx, account.account_id, partition=partition)
    return next((one.minor for one in balances if one.currency == currency), 0)


def free(ctx: Context, account: identity.Account, currency: str = "CNY") -> int:
    """What a wallet can pay now."""
    with ctx.tx() as tx:
        return ledger.balance(tx, payments.wallet_id(account.account_id, currency)).available_minor


def sum_of(ctx: Context, code: AccountCode, *, credit: bool = True) -> int:
    """All accounts of a kind, over all partitions and holders."""
    with ctx.tx() as tx:
        accounts = ledger.search_accounts(tx, code=code, limit=1_000)
        balances = ledger.balances(tx, [one.account_id for one in accounts]).values()
    return sum(one.credit_minor if credit else one.debit_minor for one in balances)


def check_books(ctx: Context, people: list[identity.Account], *, total: int) -> None:
    """Nothing is in transit, nothing was made or lost, and what issuers await is what positions owe."""
    assert sum_of(ctx, AccountCode.TRANSIT) == 0
    assert sum(held(ctx, one) for one in people) == total
    assert sum_of(ctx, AccountCode.POSITION) == sum_of(ctx, AccountCode.RECEIVABLE, credit=False)
    with ctx.tx() as tx:
        assert ledger.trial_balance(tx).is_even
