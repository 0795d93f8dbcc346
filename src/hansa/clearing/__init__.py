"""Clearing: what the cities owe each other for a day.

Postings on position accounts flow in, from the ledger alone: a ride, a parcel and a fee all clear the same way. Closed
days flow out: positions shared out by agreement, and one net figure per member and currency that sums to zero. A day
is what was booked since the day before it was closed; once closed it never changes, and every figure opens into its
items (docs/clearing.md).
"""

from hansa.clearing.actions import (
    add_agreements,
    close_day,
    day_dues,
    day_matrix,
    get_day,
    get_settings,
    items,
    list_days,
    net_positions,
    open_positions,
    positions,
    set_settings,
)
from hansa.clearing.model import (
    LEAGUE,
    AgreementDiffers,
    ClearingDay,
    DayClosed,
    DayNotOver,
    DayStatus,
    DayTotal,
    Due,
    Item,
    NetPosition,
    Position,
    Settings,
    UnknownDay,
    Watermark,
    day_reference,
    due_account,
    earned_account,
    position_account,
)
from hansa.clearing.netting import ANYONE, DEFAULT_AGREEMENT, Agreement

__all__ = [
    "ANYONE",
    "DEFAULT_AGREEMENT",
    "LEAGUE",
    "Agreement",
    "AgreementDiffers",
    "ClearingDay",
    "DayClosed",
    "DayNotOver",
    "DayStatus",
    "DayTotal",
    "Due",
    "Item",
    "NetPosition",
    "Position",
    "Settings",
    "UnknownDay",
    "Watermark",
    "add_agreements",
    "close_day",
    "day_dues",
    "day_matrix",
    "day_reference",
    "due_account",
    "earned_account",
    "get_day",
    "get_settings",
    "items",
    "list_days",
    "net_positions",
    "open_positions",
    "position_account",
    "positions",
    "set_settings",
]
