"""All windows of a business day, whatever their model, and what closing them books."""

from datetime import date, timedelta

from hansa import ledger
from hansa.clearing import store
from hansa.clearing.model import UnknownWindow, Window, transfers_of_window
from hansa.store import Tx

_MANY = 2_000
"""More windows than all models of a league have in a day."""


def windows_of_day(tx: Tx, day: date) -> list[Window]:
    """The windows of all models with this business day, in the order in which they ended."""
    found = store.list_windows(tx, before=day + timedelta(days=1), limit=_MANY)
    return sorted(
        (one for one in found if one.business_day == day), key=lambda one: (one.ends_at, one.window_id)
    )


def window_transfers(tx: Tx, window_id: str) -> list[ledger.Transfer]:
    """The transfers by which a window empties its positions into what members are due. Errors: UnknownWindow."""
    found = store.find_window(tx, window_id)
    if found is None:
        raise UnknownWindow(f"There is no window {window_id[:60]!r}.")
    return transfers_of_window(window_id, found.ends_at, store.position_lines(tx, window_id))
