"""What holders and issuers of cards are told, in the transaction in which it becomes true."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hansa import webhooks
from hansa.cards.model import Card
from hansa.kernel import Money
from hansa.store import Tx


def tell(
    tx: Tx,
    card: Card,
    kind: str,
    at: datetime,
    *,
    fact: tuple[object, ...] = (),
    reason: str = "",
    amount: Money | None = None,
    members: bool = True,
) -> None:
    """Tell the holder, and the issuer where ``members``. kind: of the notice and of the event, such as ``card.issued``.

    fact: what makes it this one, beside the card, its kind and when it came to stand so.
    """
    facts: dict[str, Any] = {"card": {"word": card.product.name}}
    if card.valid_until is not None:
        facts["until"] = {"day": card.valid_until.isoformat()}
    if reason:
        facts["why"] = reason
    if amount is not None:
        facts["amount"] = {"minor": amount.minor, "currency": amount.currency}
    # What is told of a card takes the place of what was told before; its deposit is another matter.
    subject = f"card {card.card_id}" if kind != "card.deposit_returned" else f"deposit {card.card_id}"
    made = (card.card_id, *(fact or (at,)))
    told = webhooks.ForPerson(
        account_id=card.account_id, kind=kind, at=at, subject=subject, facts=facts, fact=made
    )
    if not members:
        webhooks.tell(tx, told)
        return
    data: Mapping[str, Any] = {
        "card_id": str(card.card_id),
        "product_id": card.product.product_id,
        "account_id": str(card.account_id),
        "state": card.state,
        "replaces": None if card.replaces is None else str(card.replaces),
    }
    webhooks.record(
        tx,
        webhooks.News(
            type=kind,
            members=[card.product.issuer_id],
            at=at,
            subject=subject,
            data=data,
            fact=tuple(str(one) for one in made),
            people=[told],
        ),
    )
