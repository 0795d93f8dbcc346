"""Invoices for fees, by the terms of EN 16931; each names the business term it is. Pure.

The fees of a period were withheld when its windows cleared: the net is settled, and what is due is the tax on it. A
period whose fees come to less than was invoiced gets a credit note over the difference.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar, Literal

import msgspec

from hansa import clearing
from hansa.kernel import HansaError, Money, round_half_even
from hansa.reports.taxes import Tax

DUE_AFTER = timedelta(days=30)

FeeKey = tuple[str, str, str]
"""Seller, buyer, currency."""

Kind = Literal["invoice", "credit note"]


class NoParty(HansaError):
    """Nobody has said who this member is to a tax office. Set its legal name, address, country and tax number."""

    code: ClassVar[str] = "reports.no_party"
    status: ClassVar[int] = 409


class UnknownInvoice(HansaError):
    """There is no invoice of this number."""

    code: ClassVar[str] = "reports.unknown_invoice"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class Party:
    """A member to a tax office. legal_name: BT-27, BT-44. street, city, post_code, country: BG-5, BG-8; country is ISO
    3166-1 alpha-2. tax_number: BT-31, BT-48; empty where it has none. valid_from: the first day it is so."""

    member_id: str
    legal_name: str
    street: str
    city: str
    post_code: str
    country: str
    tax_number: str
    valid_from: date

    def is_same(self, other: "Party") -> bool:
        """Whether the two members are one to a tax office."""
        return (self.legal_name, self.country, self.tax_number) == (
            other.legal_name,
            other.country,
            other.tax_number,
        )


@dataclass(frozen=True, slots=True)
class FeeLine:
    """A line (BG-25): the fee on one position in the period. minor: signed as it adds to what the buyer owes."""

    issuer_id: str
    operator_id: str
    items: int
    minor: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or a credit note; amounts are of its own kind, so a credit note's are above zero where it gives back.

    number: BT-1. issued_on: BT-2. type_code: BT-3. currency: BT-5. due_on: BT-9. corrects: BT-25. first_day, last_day:
    BT-73, BT-74. net: BT-106, BT-109, BT-116. tax_minor: BT-110, BT-117. gross: BT-112. paid: BT-113. due: BT-115.
    """

    number: str
    kind: Kind
    seller: Party
    buyer: Party
    currency: str
    first_day: date
    last_day: date
    issued_on: date
    lines: tuple[FeeLine, ...]
    tax: Tax
    corrects: str = ""

    @property
    def type_code(self) -> str:
        """UNTDID 1001: commercial invoice or credit note."""
        return "380" if self.kind == "invoice" else "381"

    @property
    def due_on(self) -> date:
        return self.issued_on + DUE_AFTER

    @property
    def sign(self) -> int:
        """What an amount of a line is multiplied by to be one of this document."""
        return 1 if self.kind == "invoice" else -1

    @property
    def net(self) -> int:
        return self.sign * sum(line.minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """BR-S-09: the net by the rate, rounded once."""
        return round_half_even(self.net * self.tax.rate)

    @property
    def gross(self) -> int:
        return self.net + self.tax_minor

    @property
    def paid(self) -> int:
        """The net was settled when the windows of the period were."""
        return self.net

    @property
    def due(self) -> int:
        return self.gross - self.paid

    def money(self, minor: int) -> Money:
        """An amount of this document."""
        return Money(minor, self.currency)

    def line_words(self, line: FeeLine) -> str:
        """What a line is for (BT-153)."""
        whose = "League fee" if self.seller.member_id == clearing.LEAGUE else "Issuer fee"
        return f"{whose}, {line.issuer_id} to {line.operator_id}, {line.items:,} items"


def number_of(seller_id: str, n: int) -> str:
    """A document's number (BT-1): the seller and its place in the seller's one series."""
    return f"{seller_id}-{n:06d}"


def fees_of(positions: Iterable[clearing.Position]) -> dict[FeeKey, list[FeeLine]]:
    """Whom the fees of these positions are owed to and by whom; an operator bears the issuer's and the league's."""
    sums: dict[tuple[FeeKey, str], tuple[int, int]] = {}
    for one in positions:
        for seller, minor in ((one.issuer_id, one.issuer_fee), (clearing.LEAGUE, one.league_fee)):
            if minor and seller != one.operator_id:
                at = (seller, one.operator_id, one.currency), one.issuer_id
                items, before = sums.get(at, (0, 0))
                sums[at] = items + one.items, before + minor
    found: dict[FeeKey, list[FeeLine]] = {}
    for (key, issuer), (items, minor) in sorted(sums.items()):
        if minor:
            found.setdefault(key, []).append(FeeLine(issuer, key[1], items, minor))
    return found


def lines_left(lines: Iterable[FeeLine], invoiced: Iterable[FeeLine]) -> list[FeeLine]:
    """What of these lines stands on no document yet; positions that are told in full fall away."""
    left: dict[tuple[str, str], tuple[int, int]] = {}
    for sign, some in ((1, lines), (-1, invoiced)):
        for line in some:
            key = line.issuer_id, line.operator_id
            items, minor = left.get(key, (0, 0))
            left[key] = items + sign * line.items, minor + sign * line.minor
    return [FeeLine(*key, max(items, 0), minor) for key, (items, minor) in sorted(left.items()) if minor]


def invoice_json(invoice: Invoice) -> bytes:
    """A document as it is kept."""
    return msgspec.json.encode(invoice)


def read_invoice(body: bytes) -> Invoice:
    """A document as it was kept."""
    return msgspec.json.decode(body, type=Invoice)
