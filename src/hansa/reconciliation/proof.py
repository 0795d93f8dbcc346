"""The proof of a day: from taps to the bank, each figure explained by what it is made of, read anew.

Nothing is taken on trust that can be read: items come from the journal itself by the column, not from clearing's
running figures; charges from what rides and disputes wrote down before they asked the ledger; payments from the bank's
own statements. Memory is that of some hundred thousand items, however many there are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa import clearing, ledger, settlement
from hansa.disputes.explaining import dispute_claims
from hansa.payments.explaining import purchase_claims
from hansa.reconciliation.model import Proof, StepName, Tally
from hansa.reports.items import Items, PositionFinder, Summing, Taken, items_in
from hansa.reports.model import PositionKey
from hansa.reports.statements import key_of
from hansa.rides.explaining import grounds, journeys_of_day, ride_claims, waiting_in_runs
from hansa.store import Context, Tx
from hansa.wallets.explaining import send_claims

_SOME = 50_000
"""Items, or journeys, whose grounds are looked for together."""

_PAGE = 500
_BREAKS_MAX = 10_000


class Proving:
    """A proof under way: the steps' tallies, and what they look at."""

    def __init__(self, ctx: Context, tx: Tx, day: date) -> None:
        self._ctx, self._tx, self._day = ctx, tx, day
        self._partitions = [head.partition for head in ledger.list_heads(tx)]
        self._waiting = {partition: waiting_in_runs(tx, partition) for partition in self._partitions}
        self.windows = clearing.windows_of_day(tx, day)
        self.tallies = {name: Tally(name) for name in StepName}

    def run(self) -> None:
        """Go through all steps."""
        self._posted()
        for window in self.windows:
            positions = clearing.window_positions(self._tx, window.window_id)
            self._items(window, positions)
            self._cleared(window, positions)
            self._nets(window)
            payments = self._payments(window)
            self._bank(window, payments)
            self._earned(window)
        self._movements()
        self._breaks()

    # -- taps, charges, items

    def _items(self, window: clearing.Window, positions: Sequence[clearing.Position]) -> None:
        tally = self.tallies[StepName.ITEMS]
        keys = [key_of(one) for one in positions]
        sums = Summing()
        blocks = clearing.window_blocks(self._tx, window.window_id)
        for mark in window.watermark:
            finder = PositionFinder(keys, mark.partition)
            taken = Taken(keys, blocks, mark.partition, mark.after_block)
            if taken.after_block is None:
                continue
            for rows in ledger.read_columns(
                self._tx,
                after_block=taken.after_block,
                to_block=mark.up_to_block,
                partition=mark.partition,
            ):
                items = taken(items_in(rows, finder))
                sums.add(items)
                for some in _parts(items):
                    self._charges(keys, mark.partition, some)
        found = sums.by_position(keys)
        for one in positions:
            of_position = found.get(key_of(one), [])
            count, minor = sum(part.count for part in of_position), sum(part.minor for part in of_position)
            tally.add(one.currency, minor, count)
            if (count, minor) != (one.items, one.gross):
                tally.find(
                    f"{window.window_id} {one.issuer_id} {one.operator_id}",
                    f"{one.issuer_id} to {one.operator_id}: {count} items in the ledger, {one.items} cleared",
                    one.currency,
                    minor - one.gross,
                )

    def _charges(self, keys: Sequence[PositionKey], partition: int, items: Items) -> None:
        """Hold items against charges, and the charges' journeys against taps."""
        charges, taps = self.tallies[StepName.CHARGES], self.tallies[StepName.TAPS]
        transfers, references = uuids(items["transfer_id"]), uuids(items["reference"])
        wanted = {one for one in references if one.int}
        claims: dict[UUID, tuple[PositionKey, int, tuple[UUID, ...]]] = {}
        of_rides: set[UUID] = set()
        for one in ride_claims(self._tx, partition, wanted, self._waiting.get(partition, set())):
            key = (one.issuer_id, one.operator_id, one.currency)
            claims.update(dict.fromkeys(one.transfer_ids, (key, one.minor, one.transfer_ids)))
            of_rides.update(one.transfer_ids)
        for one in dispute_claims(self._tx, wanted):
            key = (one.issuer_id, one.operator_id, one.currency)
            claims.update(dict.fromkeys(one.transfer_ids, (key, one.minor, one.transfer_ids)))
        peoples = self._peoples(wanted)
        come_to: dict[UUID, int] = {}
        rides_of_items: set[UUID] = set()
        positions, minors = items["position"].tolist(), items["minor"].tolist()
        for transfer, reference, position, minor in zip(
            transfers, references, positions, minors, strict=True
        ):
            currency = keys[position][2]
            charges.add(currency, minor)
            claim = claims.get(transfer)
            if claim is None and _take(peoples, (reference, keys[position], minor)):
                continue
            if claim is None:
                words = f"an item of {' to '.join(keys[position][:2])} that is no charge; it refers to {reference}"
                charges.find(transfer, words, currency, minor)
                continue
            if claim[0] != keys[position]:
                charges.find(transfer, f"a charge of {' to '.join(claim[0][:2])}", currency, minor)
            come_to[claim[2][0]] = come_to.get(claim[2][0], 0) + minor
            if transfer in of_rides:
                rides_of_items.add(reference)
        for first, minor in come_to.items():
            key, told, _ = claims[first]
            if minor != told:
                words = f"its charge says {told}, its items come to {minor} (minor units)"
                charges.find(first, words, key[2], minor - told)
        behind = grounds(self._tx, partition, rides_of_items)
        taps.counted += behind.taps
        for journey in behind.unknown:
            taps.find(journey, "a charge whose journey is not there")
        for journey, tap in behind.lacking:
            taps.find(journey, f"a journey whose tap {tap} is not there")

    def _peoples(self, references: Iterable[UUID]) -> Counter[tuple[UUID, PositionKey, int]]:
        """What payments to payees and sends between people came to: each amount on its position, as often as it was."""
        wanted, partitions = list(references), self._ctx.directory.partitions
        return Counter(
            [
                (one.payment_id, (one.issuer_id, one.acquirer_id, one.currency), one.minor)
                for one in purchase_claims(self._tx, partitions, wanted)
            ]
            + [
                (one.transfer_id, (one.issuer_id, one.receiver_issuer_id, one.currency), one.minor)
                for one in send_claims(self._tx, partitions, wanted)
            ]
        )

    def _posted(self) -> None:
        """Each charge of the service day that should be in the ledger is, on its position and with its amount."""
        tally = self.tallies[StepName.POSTED]
        for partition in self._partitions:
            waiting = self._waiting[partition]
            for journeys in list(journeys_of_day(self._tx, partition, self._day, some=_SOME)):
                claims = {
                    one.transfer_ids or (one.reference,): one
                    for one in ride_claims(self._tx, partition, journeys, waiting)
                }
                ids = [transfer for one in claims.values() if one.posted for transfer in one.transfer_ids]
                moved = ledger.moved_among(self._tx, partition, ids)
                for one in claims.values():
                    if not one.posted:
                        tally.waiting += 1
                        continue
                    account = clearing.position_account(
                        one.issuer_id, one.operator_id, one.currency, partition
                    )
                    minor = sum(_on(account, moved[each]) for each in one.transfer_ids if each in moved)
                    tally.add(one.currency, minor)
                    if minor != one.minor:
                        words = f"charged {one.minor}, {minor} is in the ledger (minor units)"
                        tally.find(one.reference, words, one.currency, minor - one.minor)

    # -- clearing

    def _cleared(self, window: clearing.Window, positions: Sequence[clearing.Position]) -> None:
        tally = self.tallies[StepName.CLEARED]
        for one in positions:
            if one.operator_share + one.issuer_fee + one.league_fee != one.gross:
                words = f"shares of {one.issuer_id} to {one.operator_id} do not come to the gross"
                tally.find(window.window_id, words, one.currency, one.gross)
        transfers = clearing.window_transfers(self._tx, window.window_id)
        if window.closed_at is None:
            tally.waiting += len(transfers) or 1
            return
        self._in_the_books(tally, transfers)

    def _nets(self, window: clearing.Window) -> None:
        tally = self.tallies[StepName.NETS]
        come_to: dict[tuple[str, str], int] = {}
        for (debtor, creditor, currency), minor in clearing.window_matrix(self._tx, window.window_id).items():
            come_to[debtor, currency] = come_to.get((debtor, currency), 0) - minor
            come_to[creditor, currency] = come_to.get((creditor, currency), 0) + minor
        nets = {
            (str(one.member_id), one.currency): one.net
            for one in clearing.window_nets(self._tx, window.window_id)
        }
        sums: dict[str, int] = {}
        for member, currency in sorted({*come_to, *nets}):
            net, minor = nets.get((member, currency), 0), come_to.get((member, currency), 0)
            sums[currency] = sums.get(currency, 0) + net
            tally.add(currency, max(net, 0))
            if net != minor:
                words = f"the net of {member} is {net}, its positions come to {minor} (minor units)"
                tally.find(window.window_id, words, currency, net - minor)
        for currency, minor in sums.items():
            if minor:
                tally.find(window.window_id, "the nets do not sum to zero", currency, minor)

    # -- settlement

    def _payments(self, window: clearing.Window) -> list[settlement.desk.Payment]:
        tally = self.tallies[StepName.PAYMENTS]
        payments = list(_payments_of(self._tx, window.window_id))
        come_to: dict[tuple[str, str], int] = {}
        for one in payments:
            if one.replaced_by is None:
                told = one.told
                sign = -1 if told.direction is settlement.Direction.IN else 1
                key = (told.member_id, told.currency)
                come_to[key] = come_to.get(key, 0) + sign * told.amount_minor
        told_of = {currency for _, currency in come_to}
        for net in clearing.settlement_nets(self._tx, window.window_id):
            key = (str(net.member_id), net.currency)
            minor = come_to.pop(key, 0)
            if net.currency not in told_of:
                tally.waiting += bool(net.net)
                continue
            tally.add(net.currency, max(minor, 0))
            if minor != net.net:
                words = f"payments of {net.member_id} come to {minor}, its net is {net.net} (minor units)"
                tally.find(window.window_id, words, net.currency, minor - net.net)
        for (member, currency), minor in sorted(come_to.items()):
            tally.find(window.window_id, f"payments of {member}, which has no net", currency, minor)
        return payments

    def _bank(self, window: clearing.Window, payments: Sequence[settlement.desk.Payment]) -> None:
        bank, booked = self.tallies[StepName.BANK], self.tallies[StepName.BOOKED]
        for one in payments:
            told = one.told
            if one.wrong:
                bank.find(told.end_to_end_id, one.wrong, told.currency, told.amount_minor)
            if one.booked_day is not None:
                bank.add(told.currency, told.amount_minor)
            elif one.replaced_by is None:
                bank.waiting += 1
        for transfers in settlement.bank_transfers(self._tx, window.window_id).values():
            self._in_the_books(booked, transfers)

    def _earned(self, window: clearing.Window) -> None:
        tally = self.tallies[StepName.EARNED]
        settled = {total.currency for total in window.totals if total.settled_at is not None}
        for currency, transfers in settlement.earned_transfers(self._tx, window.window_id).items():
            if currency in settled:
                self._in_the_books(tally, transfers)
            else:
                tally.waiting += len(transfers)

    def _movements(self) -> None:
        """What moved on the settlement accounts in the ledger's blocks of the day are payments of ours."""
        tally = self.tallies[StepName.BOOKED]
        for window in self.windows:
            if window.model_id != clearing.DAILY:
                continue
            mark = next((one for one in window.watermark if one.partition == 0), None)
            for currency in sorted({total.currency for total in window.totals}) if mark else ():
                assert mark is not None, "asked above"
                account = settlement.settlement_account(currency)
                for entry in _entries(self._tx, account, mark):
                    moved = entry.booked.transfer
                    try:
                        told = settlement.desk.get_payment(self._tx, moved.memo)[0].told
                    except settlement.desk.UnknownPayment:
                        told = None
                    if told is None or told.amount_minor != abs(entry.credit_minor):
                        words = "moved on the settlement account, and is no payment of ours"
                        tally.find(moved.transfer_id, words, currency, entry.credit_minor)

    def _breaks(self) -> None:
        """Breaks that are open about the day's payments, or were booked by the bank on this day, without a payment."""
        tally = self.tallies[StepName.BANK]
        windows = {one.window_id for one in self.windows}
        after = ("", 0)
        for _ in range(_BREAKS_MAX // _PAGE):
            page = settlement.open_breaks(self._tx, after=after, limit=_PAGE)
            for one in page:
                try:
                    told = settlement.desk.get_payment(self._tx, one.end_to_end_id)[0].told
                except settlement.desk.UnknownPayment:
                    told = None
                day = one.booked_day or one.found_at.date()
                if (told is None and day == self._day) or (told is not None and told.window_id in windows):
                    minor = one.found_minor if one.found_minor is not None else one.expected_minor
                    words = f"{one.kind.value} in statement {one.statement_id}: {one.detail}"
                    tally.find(one.end_to_end_id, words, one.currency, minor)
            if len(page) < _PAGE:
                return
            after = (page[-1].statement_id, page[-1].entry)

    def _in_the_books(self, tally: Tally, transfers: Sequence[ledger.Transfer]) -> None:
        """Each of these stands in the ledger as it should."""
        by_partition: dict[int, list[ledger.Transfer]] = {}
        for one in transfers:
            by_partition.setdefault(one.partition, []).append(one)
        for partition, some in by_partition.items():
            moved = ledger.moved_among(self._tx, partition, [one.transfer_id for one in some])
            for one in some:
                there = moved.get(one.transfer_id)
                tally.add(one.currency, one.amount)
                if there is None:
                    tally.find(one.transfer_id, f"not in the ledger: {one.memo}", one.currency, one.amount)
                elif there != (one.debit, one.credit, one.amount):
                    words = f"stands otherwise in the ledger: {one.memo}"
                    tally.find(one.transfer_id, words, one.currency, there.minor - one.amount)


def work_out(ctx: Context, tx: Tx, day: date, *, number: int, by: str) -> Proof:
    """Prove a day as the books stand now; nothing is written."""
    proving = Proving(ctx, tx, day)
    proving.run()
    return Proof(
        day=day,
        number=number,
        made_at=ctx.clock.now(),
        made_by=by,
        windows=tuple(one.window_id for one in proving.windows),
        steps=tuple(proving.tallies[name].step() for name in StepName),
    )


def _payments_of(tx: Tx, window_id: str) -> Iterable[settlement.desk.Payment]:
    after = ""
    while True:
        page = settlement.desk.list_payments(tx, window_id=window_id, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].told.end_to_end_id


def _entries(tx: Tx, account: ledger.AccountId, mark: clearing.Watermark) -> Iterable[ledger.Entry]:
    after: ledger.Place | None = None
    while True:
        page = ledger.postings(
            tx,
            [account],
            after_block=mark.after_block,
            to_block=mark.up_to_block,
            partition=mark.partition,
            after=after,
            limit=_PAGE,
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].booked.place


def _parts(items: Items) -> Iterator[Items]:
    """Items some at a time; what one charge booked together stays together."""
    start = 0
    while start < len(items):
        end = min(start + _SOME, len(items))
        while end < len(items) and items["reference"][end] == items["reference"][end - 1]:
            end += 1
        yield items[start:end]
        start = end


def _take(claims: Counter[tuple[UUID, PositionKey, int]], one: tuple[UUID, PositionKey, int]) -> bool:
    """Whether this is among the claims; then it is there once less."""
    there = claims[one] > 0
    claims[one] -= there
    return there


def _on(account: ledger.AccountId, moved: ledger.Moved) -> int:
    """What a transfer adds to what an issuer owes on a position."""
    return moved.minor * ((moved.credit == account) - (moved.debit == account))


def uuids(column: npt.NDArray[Any]) -> list[UUID]:
    """A column of ids of 16 bytes as ids."""
    data = np.ascontiguousarray(column).tobytes()
    return [UUID(bytes=data[at : at + 16]) for at in range(0, len(data), 16)]
