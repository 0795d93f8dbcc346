"""Statements: balances carried from window to window, and what a member's window is made of.

Everything comes through the doors of clearing, settlement and the ledger. What the items add up to is held against what
clearing decided, line by line, before a figure leaves the room.
"""

from collections.abc import Iterable, Mapping, Sequence

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
    sums_of_codes,
    sums_of_figures,
)
from hansa.store import Context, Tx
from hansa.trust import MemberId

_PAGE = 100
_BANKS_OWN = frozenset((ledger.TransferCode.SETTLED_IN, ledger.TransferCode.SETTLED_OUT))


def carry(ctx: Context, window_id: str) -> None:
    """Work out what each member's account comes to with every closed window of a model up to this one.

    Windows are taken in order, each in a transaction of its own; again is harmless. Errors: clearing.UnknownWindow;
    NoStatement while the window is being closed.
    """
    with ctx.tx() as tx:
        if store.is_carried(tx, window_id):
            return
        window = clearing.get_window(tx, window_id)
        if window.closed_at is None:
            raise NoStatement(f"{window.label} is being closed; its statements come after.")
        waiting = _to_carry(tx, window)
    for one in reversed(waiting):
        with ctx.tx() as tx:
            before = store.latest_carried(tx, one.model_id)
            if before is not None and before[0] >= one.number:
                continue
            made = _balances_with(tx, one, [] if before is None else store.balances(tx, before[1]))
            store.add_balances(tx, one, made, ctx.clock.now())


def statement(ctx: Context, window_id: str, member_id: str) -> Statement:
    """A member's statement of a closed window, its figures checked.

    A member that clears as another gets what its own positions came to. Errors: clearing.UnknownWindow, NoStatement,
    trust.UnknownMember, FiguresDiffer.
    """
    carry(ctx, window_id)
    with ctx.tx() as tx:
        trust.get_member(tx, MemberId(member_id))
        window = clearing.get_window(tx, window_id)
        positions = clearing.window_positions(tx, window_id)
        sums = position_sums(tx, window, [one for one in positions if is_party(one, member_id)])
        return Maker(tx, window, positions).statement(member_id, sums)


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


def position_sums(
    tx: Tx, window: clearing.Window, positions: Sequence[clearing.Position]
) -> dict[PositionKey, list[KindSum]]:
    """The items of these positions by code, checked against what clearing decided. Errors: FiguresDiffer."""
    by_position = sums_of_figures(clearing.window_figures(tx, window.window_id))
    if not by_position:
        by_position = _sums_of_blocks(tx, window, positions)
    for one in positions:
        check_position(one, by_position.get(key_of(one), ()))
    return by_position


def _sums_of_blocks(
    tx: Tx, window: clearing.Window, positions: Sequence[clearing.Position]
) -> dict[PositionKey, list[KindSum]]:
    """The same from the ledger's postings, for a window that was closed before clearing kept figures."""
    sums: list[ledger.CodeSum] = []
    keys: dict[ledger.AccountId, PositionKey] = {}
    for mark in window.watermark:
        accounts = {clearing.position_account(*key_of(one), mark.partition): key_of(one) for one in positions}
        keys.update(accounts)
        sums += ledger.sums_by_code(
            tx,
            list(accounts),
            after_block=mark.after_block,
            to_block=mark.up_to_block,
            partition=mark.partition,
        )
    return sums_of_codes(sums, keys)


class Maker:
    """Makes the statements of one window, for a member or for hundreds: what they share is read once."""

    def __init__(self, tx: Tx, window: clearing.Window, positions: Sequence[clearing.Position]) -> None:
        self._window = window
        self._members = {member.member_id: member for member in trust.list_members(tx)}
        self._names: dict[str, str] = {one.member_id: one.name for one in self._members.values()}
        profiles = (trust.find_profile(tx, member_id) for member_id in self._members)
        self._zones: dict[str, str] = {one.member_id: one.tz for one in profiles if one is not None}
        self._balances: dict[str, dict[str, Balance]] = {}
        balances = store.balances(tx, window.window_id)
        for one in balances:
            self._balances.setdefault(one.member_id, {})[one.currency] = one
        self._payments = _payment_lines(tx, window, {one.currency for one in balances}, list(self._members))
        self._by_member: dict[str, list[clearing.Position]] = {}
        for one in positions:
            for member in {one.issuer_id, one.operator_id, one.debtor_id, one.creditor_id, clearing.LEAGUE}:
                self._by_member.setdefault(member, []).append(one)

    @property
    def members(self) -> list[str]:
        """Who has a statement of this window by right: each member that settles and has a balance or a position."""
        return sorted(
            member_id
            for member_id, member in self._members.items()
            if member.clears_as == member_id and (member_id in self._balances or member_id in self._by_member)
        )

    def statement(self, member_id: str, sums: Mapping[PositionKey, Sequence[KindSum]]) -> Statement:
        """One member's. sums: at least of its own positions. Errors: FiguresDiffer."""
        member = self._members[MemberId(member_id)]
        settles = member.clears_as == member_id
        positions = self._by_member.get(member_id, [])
        balances = self._balances.get(member_id, {}) if settles else {}
        return Statement(
            member_id=member_id,
            name=member.name,
            clears_as=member.clears_as,
            settles=settles,
            window_id=self._window.window_id,
            label=self._window.label,
            day=self._window.business_day,
            ends_at=self._window.ends_at,
            closed_at=self._window.closed_at,
            tz=self._zones.get(member_id, "UTC"),
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
            balance = Balance(
                self._window.window_id, member_id, currency, 0, sum(one.minor for one in lines), 0
            )
        else:
            lines += self._payments.get((member_id, currency), [])
        return statement_of(currency, lines, balance)


def _to_carry(tx: Tx, window: clearing.Window) -> list[clearing.Window]:
    """Windows of a model up to this one that are not carried yet, latest first."""
    before = store.latest_carried(tx, window.model_id)
    first = 0 if before is None else before[0]
    found = [window]
    while found[-1].number > first + 1:
        page = clearing.list_windows(
            tx, model_id=window.model_id, before_number=found[-1].number, limit=_PAGE
        )
        found += [one for one in page if one.number > first]
    return found


def _balances_with(tx: Tx, window: clearing.Window, before: Sequence[Balance]) -> list[Balance]:
    opening = {(one.member_id, one.currency): one.closing for one in before if one.closing}
    nets = {(str(one.member_id), one.currency): one.net for one in clearing.window_nets(tx, window.window_id)}
    members = [one.member_id for one in trust.list_members(tx) if one.clears_as == one.member_id]
    lines = _payment_lines(tx, window, {currency for _, currency in [*opening, *nets]}, members)
    paid = {key: -sum(line.minor for line in made) for key, made in lines.items()}
    return [
        Balance(window.window_id, *key, opening.get(key, 0), nets.get(key, 0), paid.get(key, 0))
        for key in sorted({*opening, *nets, *paid})
    ]


def _payment_lines(
    tx: Tx, window: clearing.Window, currencies: Iterable[str], members: Sequence[str]
) -> dict[tuple[str, str], list[Line]]:
    """What the bank moved for each member in the window's blocks, for windows of its model, by member and currency."""
    mark = next((one for one in window.watermark if one.partition == 0), None)
    lines: dict[tuple[str, str], list[Line]] = {}
    if mark is None:
        return lines
    of_model = _References(tx, window)
    for currency in sorted(currencies):
        holders = {payments.cash_account(member, currency): member for member in members}
        account = settlement.settlement_account(currency)
        for entry in ledger.postings(
            tx, [account], after_block=mark.after_block, to_block=mark.up_to_block, partition=0
        ):
            moved = entry.booked.transfer
            member = holders.get(moved.debit if moved.credit == account else moved.credit)
            if moved.code not in _BANKS_OWN or member is None or moved.reference not in of_model:
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


class _References:
    """By what payments refer to windows of a model; the latest are looked through first, the others where need be."""

    def __init__(self, tx: Tx, window: clearing.Window) -> None:
        self._tx, self._model_id, self._before = tx, window.model_id, window.number
        self._known = {clearing.window_reference(window.window_id)}

    def __contains__(self, reference: object) -> bool:
        while reference not in self._known and self._before > 1:
            page = clearing.list_windows(
                self._tx, model_id=self._model_id, before_number=self._before, limit=_PAGE
            )
            self._known.update(clearing.window_reference(one.window_id) for one in page)
            self._before = page[-1].number if page else 0
        return reference in self._known
