"""What each line of a wallet is, in the reader's words, with the page that tells all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from hansa import approval, cards, identity, payments, rides, wallets
from hansa.apps.web.journey_views import PRODUCTS, Places, city_name
from hansa.apps.web.languages import Words
from hansa.kernel import Directory
from hansa.payments import MovementKind
from hansa.store import Tx
from hansa.wallets import own_data, top_ups, transfers, withdrawals
from hansa.wallets.bank_model import Way

KIND_WORDS: Mapping[MovementKind, str] = {
    MovementKind.TOP_UP: "Top-up",
    MovementKind.TOP_UP_RETURNED: "Top-up taken back by the bank",
    MovementKind.FARE: "Fare",
    MovementKind.CORRECTION: "Fare given back",
    MovementKind.PAYMENT: "Payment",
    MovementKind.REFUND: "Refund",
    MovementKind.SENT: "Sent",
    MovementKind.RECEIVED: "Received",
    MovementKind.WITHDRAWAL: "To your bank",
    MovementKind.VOUCHER: "Voucher",
    MovementKind.EXCHANGE: "Exchange",
    MovementKind.OTHER: "Other movement",
}

WAY_WORDS: Mapping[Way, str] = {
    Way.TRANSFER: "bank transfer",
    Way.DEBIT: "direct debit",
    Way.INSTANT: "from your bank",
    Way.VOUCHER: "voucher",
    Way.COUNTER: "at a counter",
}


@dataclass(frozen=True, slots=True)
class About:
    """A line to be told: what kind, what it refers to, whether the wallet gained by it."""

    kind: MovementKind
    reference: UUID | None
    gains: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A line in words. about: with whom, or where; may be empty. address: of its page; empty where there is none."""

    words: str
    about: str = ""
    address: str = ""


def tell(
    tx: Tx, directory: Directory, account: identity.Account, lines: Sequence[About], say: Words
) -> list[Told]:
    """Each of these lines of an account's wallets, in words; in the order given."""
    return _Teller(tx, directory, account, lines, say).told()


class _Teller:
    def __init__(
        self, tx: Tx, directory: Directory, account: identity.Account, lines: Sequence[About], say: Words
    ) -> None:
        self._tx, self._account, self._lines, self._say = tx, account, lines, say
        self._partition = directory.partition_of(account.account_id)
        self._places = Places(tx)
        fares = self._references(MovementKind.FARE, MovementKind.CORRECTION, MovementKind.EXCHANGE)
        self._journeys = rides.find_journeys(tx, [rides.JourneyId(one) for one in fares]) if fares else {}
        self._passes = (
            {
                one.pass_id: one.name
                for one in rides.list_passes(tx, account.account_id, partition=self._partition)
            }
            if fares
            else {}
        )
        paid = self._references(MovementKind.PAYMENT, MovementKind.REFUND, MovementKind.EXCHANGE)
        self._payments = payments.find_payments(tx, [(directory.partition_of(one), one) for one in paid])
        tries = {one.spend_id: key for key, one in self._payments.items() if one.payer is not None}
        spent = approval.spent_by(tx, [(self._partition, one) for one in tries])
        self._spenders = {tries[spend_id]: who for spend_id, who in spent.items()}
        self._payees = payments.find_payees(tx, sorted({one.payee_id for one in self._payments.values()}))
        fees = self._references(MovementKind.OTHER)
        self._cards = cards.find_fees(tx, fees) if fees else {}
        moved = self._references(MovementKind.SENT, MovementKind.RECEIVED, MovementKind.EXCHANGE)
        self._sent, self._came = own_data.transfers_among(
            tx, account.account_id, moved, partition=self._partition
        )
        self._spenders |= {
            one.transfer_id: identity.AccountId(one.spender_id)
            for one in self._sent.values()
            if one.spender_id
        }
        self._delegates = {
            one.account_id: one.name
            for one in identity.find_accounts(tx, sorted(set(self._spenders.values()))).values()
        }
        people = [one.receiver_id for one in self._sent.values() if one.receiver_id]
        self._names = transfers.names_of(tx, [*people, *(one.sender_id for one in self._came.values())])

    def told(self) -> list[Told]:
        return [self._one(line) for line in self._lines]

    def _one(self, line: About) -> Told:
        words = self._say(KIND_WORDS[line.kind])
        ref = line.reference
        if ref is None:
            return Told(words)
        if ref in self._journeys or ref in self._passes:
            return self._fare(words, line, ref)
        if ref in self._cards:
            told = self._say("Deposit given back") if line.gains else self._say("City card")
            return Told(told, "", f"/wallet/cards/{ref}")
        if ref in self._payments:
            payee = self._payees.get(self._payments[ref].payee_id)
            words = self._say("Refund") if line.gains else self._say("Payment")
            return Told(words, self._by(ref, payee.name if payee else ""))
        if ref in self._sent or ref in self._came:
            return self._person(words, line, ref)
        if line.kind in (MovementKind.TOP_UP, MovementKind.TOP_UP_RETURNED, MovementKind.VOUCHER):
            return self._top_up(words, ref)
        if line.kind is MovementKind.WITHDRAWAL:
            return self._withdrawal(words, line, ref)
        return Told(words)

    def _fare(self, words: str, line: About, ref: UUID) -> Told:
        if ref in self._passes:
            name = self._passes[ref]
            words = self._say("Pass given back") if line.gains else self._say("Pass")
            return Told(words, name, f"/wallet/passes#p-{ref}")
        journey = self._journeys[rides.JourneyId(ref)]
        words = self._say("Fare given back") if line.gains else self._say("Fare")
        where = city_name(self._places.network(journey.city_id).city, self._say)
        product = self._say(PRODUCTS.get(journey.product, journey.product.capitalize()))
        return Told(words, f"{product}, {where}", f"/wallet/journeys/{ref}")

    def _person(self, words: str, line: About, ref: UUID) -> Told:
        address = f"/wallet/transfers/{ref}"
        sent = self._sent.get(ref)
        if sent is None:
            return Told(self._say("Received"), self._names.get(self._came[ref].sender_id, ""), address)
        name = self._names.get(sent.receiver_id, "") if sent.receiver_id else self._say("By a link")
        return Told(self._say("Came back") if line.gains else words, self._by(ref, name), address)

    def _by(self, ref: UUID, about: str) -> str:
        """With whom it was, and who spent it where the owner did not."""
        spender = self._delegates.get(self._spenders[ref], "") if ref in self._spenders else ""
        return self._say("{about}, by {name}", about=about, name=spender) if spender else about

    def _top_up(self, words: str, ref: UUID) -> Told:
        try:
            found = top_ups.get(self._tx, self._account.account_id, ref, partition=self._partition)
        except wallets.UnknownTopUp:
            return Told(words)
        return Told(words, self._say(WAY_WORDS[found.way]), f"/wallet/top-up/{ref}")

    def _withdrawal(self, words: str, line: About, ref: UUID) -> Told:
        if line.gains:
            words = self._say("Sent back by your bank")
        try:
            found = withdrawals.get(self._tx, self._account.account_id, ref, partition=self._partition)
        except wallets.UnknownWithdrawal:
            return Told(words)
        return Told(words, found.shown, f"/wallet/withdraw/{ref}")

    def _references(self, *kinds: MovementKind) -> list[UUID]:
        found = {one.reference for one in self._lines if one.kind in kinds and one.reference is not None}
        return sorted(found)
