"""What an item is for: its product, and its kind within it. Pure.

The product groups items that are priced alike by an agreement; the kind says which of them correct others.
"""

from dataclasses import dataclass

from hansa.ledger import TransferCode


@dataclass(frozen=True, slots=True)
class ItemKind:
    """product: ride, subsidy, chargeback or payment. adjusts: whether it corrects what was booked before."""

    code: int
    product: str
    kind: str
    adjusts: bool


_KINDS = {
    kind.code: kind
    for kind in (
        ItemKind(TransferCode.FARE, "ride", "fare", adjusts=False),
        ItemKind(TransferCode.FARE_CORRECTION, "ride", "correction", adjusts=True),
        ItemKind(TransferCode.REFUND, "ride", "refund", adjusts=True),
        ItemKind(TransferCode.SUBSIDY, "subsidy", "subsidy", adjusts=True),
        ItemKind(TransferCode.CHARGEBACK, "chargeback", "chargeback", adjusts=True),
        ItemKind(TransferCode.PAYMENT, "payment", "payment", adjusts=False),
    )
}

CLEARINGS_OWN = (TransferCode.CLEARED, TransferCode.FEE)
"""Codes that stand on positions too, and are no items: what clearing itself books there."""

PRODUCTS = ("ride", "subsidy", "chargeback", "payment")


def kind_of(code: int) -> ItemKind:
    """What an item of this code is for; a code that nothing is known of is a payment of its number."""
    return _KINDS.get(code) or ItemKind(code, "payment", f"code {code}", adjusts=False)
