"""Statements: balances carried from day to day, and what a member's day is made of.

Everything comes through the doors of clearing, settlement and the ledger. What the ledger's postings add up to is held
against what clearing decided, line by line, before a figure leaves the room.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from hansa import clearing, ledger, payments, settlement, trust
from hansa.reports import store
from hansa.reports.model import (
    Balance,
    CurrencyStatement,
    KindSum,
    Line,
    NoStatement,
    PositionKey,
    Section,
    Statement,
    check_position,
    lines_of,
    statement_of,
    sums_of,
)
from hansa.store import Context, Tx

_PAGE = 100
_BANKS_OWN = frozenset((ledger.TransferCode.SETTLED_IN, ledger.TransferCode.SETTLED_OUT))


def carry(ctx: Context, day: date) -> None:
    """Work out what each member's account comes to with every closed day up to this one; again is harmless.

    Days are taken in order, each in a transaction of its own. Errors: clearing.UnknownDay; NoStatement while the day
    is being closed.
    """
    with ctx.tx() as tx:
        if store.is_carried(tx, day):
            return
        if clearing.get_day(tx, day).closed_at is None:
            raise NoStatement(f"{day} is being closed; its statements come after.")
        waiting = _to_carry(tx, day)
    for one in reversed(waiting):
        with ctx.tx() as tx:
            before = store.latest_carried(tx)
            if before is not None and before >= one.day:
                continue
            made = _balances_with(tx, one, [] if before is None else store.balances(tx, before))
            store.add_balances(tx, one.day, made, ctx.clock.now())


def statement(ctx: Context, day: date, member_id: str) -> Statement:
    """A member's statement of a closed day, its figures checked.

    A member that clears as another gets what its own positions came to. Errors: clearing.UnknownDay, NoStatement,
    trust.UnknownMember, FiguresDiffer.
    """
    carry(ctx, day)
    with ctx.tx() as tx:
        trust.get_member(tx, trust.MemberId(member_id))
        found = clearing.get_day(tx, day)
        positions = clearing.positions(tx, day)
        mine = [one for one in positions if is_party(one, member_id)]
        sums = position_sums(tx, found, mine)
        made = Maker(tx, found, positions)
        return made.statement(member_id, sums)


def is_party(position: clearing.Position, member_id: str) -> bool:
    """Whether a position is a member's own, or that of one that clears as it."""
    return member_id in (
        position.issuer_id,
        position.operator_id,
        position.debtor_id,
        position.creditor_id,
    )


def key_of(position: clearing.Position) -> PositionKey:
    """What tells positions of a day apart."""
    return position.issuer_id, position.operator_id, position.currency


def account_keys(
    found: clearing.ClearingDay, positions: Iterable[clearing.Position]
) -> dict[int, dict[ledger.AccountId, PositionKey]]:
    """The ledger accounts of these positions, by partition."""
    keys = [key_of(one) for one in positions]
    return {
        mark.partition: {clearing.position_account(*key, mark.partition): key for key in keys}
        for mark in found.watermark
    }


def position_sums(
    tx: Tx, found: clearing.ClearingDay, positions: Sequence[clearing.Position]
) -> dict[PositionKey, list[KindSum]]:
    """The items of these positions by code, from the ledger; checked against what clearing decided.

    Errors: FiguresDiffer.
    """
    by_partition = account_keys(found, positions)
    sums: list[ledger.CodeSum] = []
    keys: dict[ledger.AccountId, PositionKey] = {}
    for mark in found.watermark:
        accounts = by_partition[mark.partition]
        keys.update(accounts)
        sums += ledger.sums_by_code(
            tx,
            list(accounts),
            after_block=mark.after_block,
            to_block=mark.up_to_block,
            partition=mark.partition,
        )
    by_position = sums_of(sums, keys)
    for one in positions:
        check_position(one, by_position.get(key_of(one), ()))
    return by_position


class Maker:
    """Makes the statements of one day, for a member or for hundreds: what they share is read once."""

    def __init__(self, tx: Tx, found: clearing.ClearingDay, positions: Sequence[clearing.Position]) -> None:
        self._found = found
        self._members = {member.member_id: member for member in trust.list_members(tx)}
        self._names: dict[str, str] = {one.member_id: one.name for one in self._members.values()}
        self._balances: dict[str, dict[str, Balance]] = {}
        for one in store.balances(tx, found.day):
            self._balances.setdefault(one.member_id, {})[one.currency] = one
        self._payments = _payment_lines(
            tx, found, {one.currency for one in store.balances(tx, found.day)}, list(self._members)
        )
        self._by_member: dict[str, list[clearing.Position]] = {}
        for one in positions:
            for member in {one.issuer_id, one.operator_id, one.debtor_id, one.creditor_id, clearing.LEAGUE}:
                self._by_member.setdefault(member, []).append(one)

    @property
    def members(self) -> list[str]:
        """Who has a statement of this day by right: each member that settles and has a balance or a position."""
        return sorted(
            member_id
            for member_id, member in self._members.items()
            if member.clears_as == member_id and (member_id in self._balances or member_id in self._by_member)
        )

    def statement(self, member_id: str, sums: Mapping[PositionKey, Sequence[KindSum]]) -> Statement:
        """One member's. sums: at least of its own positions. Errors: FiguresDiffer."""
        member = self._members[trust.MemberId(member_id)]
        settles = member.clears_as == member_id
        positions = self._by_member.get(member_id, [])
        balances = self._balances.get(member_id, {}) if settles else {}
        return Statement(
            member_id=member_id,
            name=member.name,
            clears_as=member.clears_as,
            settles=settles,
            day=self._found.day,
            ends_at=self._found.ends_at,
            closed_at=self._found.closed_at,
            names=self._names,
            currencies=tuple(
                self._in_currency(member_id, currency, positions, balances.get(currency), sums)
                for currency in sorted({one.currency for one in positions} | set(balances))
            ),
        )

    def _in_currency(
        self,
        member_id: str,
        currency: str,
        positions: Sequence[clearing.Position],
        balance: Balance | None,
        sums: Mapping[PositionKey, Sequence[KindSum]],
    ) -> CurrencyStatement:
        lines = lines_of(member_id, [one for one in positions if one.currency == currency], sums)
        if balance is None:
            balance = Balance(self._found.day, member_id, currency, 0, sum(one.minor for one in lines), 0)
        else:
            lines += self._payments.get((member_id, currency), [])
        return statement_of(currency, lines, balance)


def _to_carry(tx: Tx, day: date) -> list[clearing.ClearingDay]:
    """Closed days up to this one that are not carried yet, latest first."""
    carried = store.latest_carried(tx)
    found = [clearing.get_day(tx, day)]
    while True:
        page = clearing.list_days(tx, before=found[-1].day, limit=_PAGE)
        found += [one for one in page if carried is None or one.day > carried]
        if len(page) < _PAGE or found[-1].day > page[-1].day:
            return found


def _balances_with(tx: Tx, found: clearing.ClearingDay, before: Sequence[Balance]) -> list[Balance]:
    opening = {(one.member_id, one.currency): one.closing for one in before if one.closing}
    nets = {(str(one.member_id), one.currency): one.net for one in clearing.net_positions(tx, found.day)}
    members = [member.member_id for member in trust.list_members(tx) if member.clears_as == member.member_id]
    currencies = {currency for _, currency in [*opening, *nets]}
    lines = _payment_lines(tx, found, currencies, members)
    paid = {key: -sum(line.minor for line in made) for key, made in lines.items()}
    return [
        Balance(found.day, *key, opening.get(key, 0), nets.get(key, 0), paid.get(key, 0))
        for key in sorted({*opening, *nets, *paid})
    ]


def _payment_lines(
    tx: Tx, found: clearing.ClearingDay, currencies: Iterable[str], members: Sequence[str]
) -> dict[tuple[str, str], list[Line]]:
    """What the bank moved for each member in the day's blocks, by member and currency."""
    mark = next((one for one in found.watermark if one.partition == 0), None)
    lines: dict[tuple[str, str], list[Line]] = {}
    if mark is None:
        return lines
    for currency in sorted(currencies):
        holders = {payments.cash_account(member, currency): member for member in members}
        account = settlement.settlement_account(currency)
        for entry in ledger.postings(
            tx, [account], after_block=mark.after_block, to_block=mark.up_to_block, partition=0
        ):
            moved = entry.booked.transfer
            member = holders.get(moved.debit if moved.credit == account else moved.credit)
            if moved.code not in _BANKS_OWN or member is None:
                continue
            lines.setdefault((member, currency), []).append(
                Line(
                    Section.PAYMENTS,
                    settlement.LEAGUE_BANK,
                    "",
                    "",
                    "payment",
                    "paid out" if moved.credit == account else "paid in",
                    1,
                    -entry.credit_minor,
                    moved.memo,
                )
            )
    return lines
