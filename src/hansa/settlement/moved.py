"""What settlement books in the ledger for a window: money that a bank moved, and what members earned by it."""

from hansa import clearing, ledger
from hansa.settlement import actions, store
from hansa.store import Tx


def bank_transfers(tx: Tx, window_id: str) -> dict[str, list[ledger.Transfer]]:
    """By end-to-end id, what stands in the books for each payment that a statement has booked, or has given back."""
    found: dict[str, list[ledger.Transfer]] = {}
    told = store.instructions_of_window(tx, window_id)
    for currency in {one.currency for one in told}:
        booked = store.booked_days(tx, window_id, currency)
        returned = store.returned_days(tx, window_id, currency)
        for one in told:
            if one.currency != currency or one.end_to_end_id not in booked:
                continue
            made = [actions.bank_transfer(one, booked[one.end_to_end_id])]
            if one.end_to_end_id in returned:
                made.append(actions.came_back(one, returned[one.end_to_end_id]))
            found[one.end_to_end_id] = made
    return found


def earned_transfers(tx: Tx, window_id: str) -> dict[str, list[ledger.Transfer]]:
    """By currency, what turns what a closed window's members are due into what they have earned.

    Errors: clearing.UnknownWindow.
    """
    window = clearing.get_window(tx, window_id)
    found: dict[str, list[ledger.Transfer]] = {}
    if window.closed_at is not None:
        for due in clearing.window_dues(tx, window_id):
            found.setdefault(due.currency, []).append(actions.earned_transfer(due, window, window.closed_at))
    return found
