"""What the books tell persons: fares charged and given back, a wallet that runs low, a budget that is spent.

Nobody who moves money waits for this: a job follows each partition's blocks from a bookmark and reads a few columns of
those transfers alone that may concern somebody. What is told and how far was read are one commit. Of fares only who
uses the wallet is told: whoever was told anything before. Where the books were not followed yet, it begins at their
end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from hansa import atlas, identity, ledger, notifications, rides, webhooks
from hansa.apps import spending
from hansa.identity import AccountId
from hansa.kernel import HansaError
from hansa.ledger import TransferCode, WalletMove
from hansa.notifications import watches
from hansa.notifications.watches_model import ALL
from hansa.store import Context, Tx
from hansa.webhooks import ForPerson

BLOCKS = 200
"""Blocks of a partition that one turn reads."""

FARES = (TransferCode.FARE, TransferCode.FARE_CORRECTION, TransferCode.EXCHANGE)
"""Codes under which fares reach a wallet; a fare in another currency is an exchange."""


def turn(ctx: Context, *, blocks: int = BLOCKS) -> int:
    """Read the books on, and tell what they say; gives how many notices were recorded."""
    with ctx.tx() as tx:
        heads = ledger.list_heads(tx)
    return sum(_read(ctx, head.partition, head.number, blocks) for head in heads if head.number)


def _read(ctx: Context, partition: int, head: int, blocks: int) -> int:
    with ctx.tx() as tx:
        read = watches.lock_books_read(tx, partition, head)
        if read is None or read >= head:
            return 0
        to = min(head, read + blocks)
        watched = watches.watched_wallets(tx, partition)
        moves = ledger.wallet_moves(
            tx,
            partition=partition,
            after_block=read,
            to_block=to,
            codes=FARES,
            wallets=[ledger.AccountId(one) for one in watched],
        )
        told = [
            *_fares(tx, partition, [one for one in moves if one.code in FARES]),
            *_fares_of_wards(tx, [one for one in moves if one.code in FARES]),
            *_low(tx, partition, [one for one in moves if one.account_id in watched]),
            *_budgets(ctx, tx, partition, {one.account_id for one in moves if one.account_id in watched}),
        ]
        webhooks.tell(tx, *told)
        watches.keep_books_read(tx, partition, to)
    return len(told)


def _fares(tx: Tx, partition: int, moves: Sequence[WalletMove]) -> list[ForPerson]:
    """What riders who use the wallet are told of fares."""
    owners = sorted({(partition, UUID(one.holder)) for one in moves})
    listening = watches.who_is_told(tx, owners)
    wanted = [one for one in moves if UUID(one.holder) in listening and one.reference is not None]
    if not wanted:
        return []
    journeys = rides.find_journeys(
        tx, sorted({rides.JourneyId(one.reference) for one in wanted if one.reference is not None})
    )
    places: dict[str, str] = {}
    told: list[ForPerson] = []
    for one in wanted:
        journey = journeys.get(rides.JourneyId(one.reference or UUID(int=0)))
        if journey is None:
            continue
        if journey.city_id not in places:
            places[journey.city_id] = _place(tx, journey.city_id)
        capped = any("cap" in step.rule for step in journey.steps)
        kind = "fare.given_back" if one.minor > 0 else "fare.capped" if capped else "fare.charged"
        told.append(
            ForPerson(
                account_id=UUID(one.holder),
                kind=kind,
                at=one.event_at,
                subject=f"journey {journey.journey_id}",
                facts={
                    "amount": {"minor": abs(one.minor), "currency": one.currency},
                    "place": {"word": places[journey.city_id]},
                },
                fact=(one.reference, one.code, one.block, one.minor),
            )
        )
    return told


def _fares_of_wards(tx: Tx, moves: Sequence[WalletMove]) -> list[ForPerson]:
    """What guardians who may see a ward's money are told of its fares: how much, and not where it rode."""
    paid = [one for one in moves if one.minor < 0 and one.reference is not None]
    guardians: dict[UUID, list[UUID]] = {}
    for ward, guardian in identity.guardians_among(
        tx, {AccountId(UUID(one.holder)) for one in paid}, "see_money"
    ):
        guardians.setdefault(ward, []).append(guardian)
    return [
        ForPerson(
            account_id=guardian,
            kind="ward.fare",
            at=one.event_at,
            subject=f"journey {one.reference}",
            facts={"amount": {"minor": -one.minor, "currency": one.currency}, "person": one.holder},
            fact=(one.reference, one.code, one.block, one.minor, guardian),
        )
        for one in paid
        for guardian in guardians.get(UUID(one.holder), ())
    ]


def _place(tx: Tx, city_id: str) -> str:
    try:
        return atlas.get_city(tx, city_id).name
    except atlas.UnknownCity:
        return city_id


def _low(tx: Tx, partition: int, moves: Sequence[WalletMove]) -> list[ForPerson]:
    """Who is told that their wallet runs low: by what it held at the end of what was read, once until it was above."""
    last = {one.account_id: one for one in moves}
    told: list[ForPerson] = []
    for wallet, mark in watches.marks_on(tx, partition, last.keys()).items():
        move = last[ledger.AccountId(wallet)]
        is_low = move.balance_minor < mark.low_minor
        if is_low == mark.is_low:
            continue
        watches.keep_low(tx, mark, is_low=is_low)
        if is_low:
            facts = {
                "amount": {"minor": move.balance_minor, "currency": mark.currency},
                "low": {"minor": mark.low_minor, "currency": mark.currency},
            }
            told.append(
                _told(mark.account_id, "balance.low", move.event_at, f"low {wallet}", facts, move.block)
            )
    return told


def _budgets(ctx: Context, tx: Tx, partition: int, wallets: set[ledger.AccountId]) -> list[ForPerson]:
    """Who is told that a budget of this month is nearly spent, or spent: each once in a month."""
    found = watches.budgets_on(tx, partition, wallets)
    spent: dict[tuple[AccountId, str], dict[str, int]] = {}
    told: list[ForPerson] = []
    now = ctx.clock.now()
    for one in found:
        zone = _zone(tx, one.account_id)
        month = now.astimezone(ZoneInfo(zone)).date().replace(day=1)
        key = (one.account_id, one.currency)
        if key not in spent:
            spent[key] = spending.spent_in_month(
                tx, one.account_id, month, currency=one.currency, zone=zone, partition=partition
            )
        sums = spent[key]
        minor = sum(sums.values()) if one.category == ALL else sums.get(one.category, 0)
        percent = notifications.reached(minor, one.minor)
        if not percent or (one.told_month == month and one.told_percent >= percent):
            continue
        watches.keep_told(tx, one, month, percent)
        facts = {
            "category": {
                "word": spending.ALL_SPENDING if one.category == ALL else spending.CATEGORIES[one.category]
            },
            "amount": {"minor": minor, "currency": one.currency},
            "planned": {"minor": one.minor, "currency": one.currency},
        }
        kind = "budget.over" if percent == 100 else "budget.near"
        subject = f"budget {one.currency} {one.category} {month}"
        told.append(
            _told(one.account_id, kind, now, subject, facts, month, one.category, one.currency, one.minor)
        )
    return told


def _told(
    account_id: AccountId, kind: str, at: datetime, subject: str, facts: Mapping[str, object], *fact: object
) -> ForPerson:
    return ForPerson(account_id=account_id, kind=kind, at=at, subject=subject, facts=facts, fact=fact)


def _zone(tx: Tx, account_id: AccountId) -> str:
    try:
        return atlas.get_city(tx, identity.get_account(tx, account_id).home_city_id).tz
    except HansaError:
        return "UTC"
