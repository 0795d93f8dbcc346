"""How often a payee may ask one person to approve a payment: nobody's phone is to ring all day for a shop's sake."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hansa.identity import AccountId
from hansa.store import Rate, Taking, TooOften, Tx, throttle_all

BY_PAYEE = Rate(20, timedelta(hours=1))
BY_MEMBER = Rate(60, timedelta(hours=1))
"""How often one person may be asked, by one payee and by all payees of one member."""

Ask = tuple[str, str, AccountId]
"""Member, payee, and who is to approve."""


def refuse_asks(tx: Tx, asks: Sequence[Ask], at: datetime) -> list[TooOften | None]:
    """Which of these may not be asked for now, in order, the first ones first; None for those that may.

    What may counts if this transaction commits.
    """
    refused: list[TooOften | None] = [None] * len(asks)
    for rate, names in (
        (BY_PAYEE, [f"payments.ask/{payee}/{account_id}" for _, payee, account_id in asks]),
        (BY_MEMBER, [f"payments.ask-by/{member}/{account_id}" for member, _, account_id in asks]),
    ):
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            if refused[place] is None:
                places.setdefault(name, []).append(place)
        takings = [Taking(name, rate, wanted=len(found)) for name, found in places.items()]
        for taking, throttled in zip(takings, throttle_all(tx, takings, at), strict=True):
            for place in places[taking.bucket][throttled.granted :]:
                words = "This person was asked for too many approvals. Wait until some are answered."
                refused[place] = TooOften(words, retry_after=throttled.retry_after)
    return refused
