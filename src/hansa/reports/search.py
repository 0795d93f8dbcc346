"""One box that finds: ids of all kinds, end-to-end ids, invoice numbers, members, amounts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from hansa import clearing, disputes, ledger, rides, settlement, trust
from hansa.kernel import CURRENCY_EXPONENTS, Money
from hansa.reports import invoice_store
from hansa.store import Tx

QUERY_MAX = 100
WINDOWS_LOOKED_AT = 60
HITS_MAX = 50

_AMOUNT = re.compile(
    r"[-−]?(?P<whole>[0-9][0-9,]{0,17})(\.(?P<fraction>[0-9]{1,4}))?\s*(?P<unit>[A-Za-z]{3})?"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found. kind: what it is. ref: its id, or ids parted by a slash. words: what to show beside it."""

    kind: str
    ref: str
    words: str


def search(tx: Tx, text: str) -> list[Hit]:
    """What an operator may mean by this text, likeliest first; nothing for an empty one.

    An amount is looked for among the nets and positions of the last windows, with or without its currency.
    """
    text = text.strip()[:QUERY_MAX]
    if not text or "\0" in text:
        return []
    hits = [*_by_uuid(tx, text), *_by_name(tx, text), *_members(tx, text), *_by_amount(tx, text)]
    return list(dict.fromkeys(hits))[:HITS_MAX]


def _by_uuid(tx: Tx, text: str) -> Iterator[Hit]:
    try:
        found = UUID(text)
    except ValueError:
        return
    booked = ledger.find_transfer(tx, ledger.TransferId(found))
    if booked is not None:
        moved = booked.transfer
        yield Hit("transfer", str(found), f"{Money(moved.amount, moved.currency)}, {_code(moved.code)}")
    journey = rides.find_journeys(tx, [rides.JourneyId(found)]).get(rides.JourneyId(found))
    if journey is not None:
        yield Hit("journey", str(found), f"{journey.operator_id}, {journey.service_day}, {journey.fare}")
    try:
        account = ledger.get_account(tx, ledger.AccountId(found))
        yield Hit(
            "account", str(found), f"{account.code.name.lower()} of {account.holder}, {account.currency}"
        )
    except ledger.UnknownAccount:
        pass
    try:
        case = disputes.get_dispute(tx, found).case
        yield Hit("dispute", str(found), f"{case.reason.replace('_', ' ')}, {case.claim}, {case.state.value}")
    except disputes.UnknownDispute:
        pass


def _by_name(tx: Tx, text: str) -> Iterator[Hit]:
    try:
        payment, _, _ = settlement.desk.get_payment(tx, text)
        told = payment.told
        yield Hit("payment", text, f"{told.amount}, {told.member_id}, {payment.state.value}")
    except settlement.desk.UnknownPayment:
        pass
    invoice = invoice_store.find_invoice(tx, text)
    if invoice is not None:
        yield Hit("invoice", text, f"{invoice.money(invoice.gross)}, {invoice.buyer.legal_name}")
    try:
        window = clearing.get_window(tx, text)
    except clearing.UnknownWindow:
        windows = [one for one in clearing.list_windows(tx, limit=WINDOWS_LOOKED_AT) if one.label == text]
    else:
        windows = [window]
    for one in windows:
        yield Hit("window", one.window_id, f"{one.items:,} items, {one.status.value}")


def _members(tx: Tx, text: str) -> Iterator[Hit]:
    wanted = text.lower()
    for one in trust.list_members(tx):
        if len(wanted) > 1 and (wanted in one.member_id.lower() or wanted in one.name.lower()):
            yield Hit("member", one.member_id, f"{one.name}, {one.role}")


def _by_amount(tx: Tx, text: str) -> Iterator[Hit]:
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return
    unit = (found["unit"] or "").upper()
    whole, fraction = found["whole"].replace(",", ""), found["fraction"] or ""
    for window in clearing.list_windows(tx, limit=WINDOWS_LOOKED_AT):
        currencies = {total.currency for total in window.totals}
        wanted = {
            currency: minor
            for currency in currencies
            if unit in ("", currency) and (minor := _minor(whole, fraction, currency)) is not None
        }
        if not wanted:
            continue
        for net in clearing.window_nets(tx, window.window_id):
            if abs(net.net) == wanted.get(net.currency):
                yield Hit(
                    "net",
                    f"{window.window_id}/{net.member_id}/{net.currency}",
                    f"{net.member_id}, {window.label}: {Money(net.net, net.currency)}",
                )
        for one in clearing.window_positions(tx, window.window_id):
            if abs(one.gross) == wanted.get(one.currency):
                yield Hit(
                    "position",
                    f"{window.window_id}/{one.issuer_id}/{one.operator_id}/{one.currency}",
                    f"{one.issuer_id} to {one.operator_id}, {window.label}: {Money(one.gross, one.currency)}",
                )


def _minor(whole: str, fraction: str, currency: str) -> int | None:
    """The amount in minor units; None where the currency has fewer decimals."""
    digits = CURRENCY_EXPONENTS[currency]
    if len(fraction.rstrip("0")) > digits:
        return None
    return int(whole + fraction[:digits].ljust(digits, "0"))


def _code(code: int) -> str:
    try:
        return ledger.TransferCode(code).name.lower().replace("_", " ")
    except ValueError:
        return f"code {code}"
