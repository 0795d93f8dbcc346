"""What an item is for: its product, and its kind within it. Pure.

The product groups items that are priced alike by an agreement; the kind says which of them correct others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hansa.clearing import Product, product_of
from hansa.ledger import TransferCode


@dataclass(frozen=True, slots=True)
class ItemKind:
    """product: as agreements speak of it. adjusts: whether it corrects what was booked before."""

    code: int
    product: Product
    kind: str
    adjusts: bool


_KINDS: Mapping[int, tuple[str, bool]] = {
    TransferCode.FARE: ("fare", False),
    TransferCode.FARE_CORRECTION: ("correction", True),
    TransferCode.REFUND: ("refund", True),
    TransferCode.SUBSIDY: ("subsidy", True),
    TransferCode.CHARGEBACK: ("chargeback", True),
    TransferCode.PAYMENT: ("payment", False),
    TransferCode.PURCHASE: ("purchase", False),
    TransferCode.SEND: ("transfer", False),
    TransferCode.PURCHASE_REFUND: ("purchase refund", True),
}

CLEARINGS_OWN = (TransferCode.CLEARED, TransferCode.FEE)
"""Codes that stand on positions too, and are no items: what clearing itself books there."""


def kind_of(code: int) -> ItemKind:
    """What an item of this code is for; one that nothing more is known of is named by its code."""
    product, (kind, adjusts) = product_of(code), _KINDS.get(code, (f"code {code}", False))
    return ItemKind(code, product, kind, adjusts=adjusts)
