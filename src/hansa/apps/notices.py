"""Notices in words and on their way: sentences in the reader's language, messages by e-mail and telephone.

The room of notifications knows facts, kinds and wishes; contacts are sealed in identity; sentences are in the
catalogues of pages. Here they meet: for the pages that show notices, and for the worker, which hands messages over.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from time import monotonic

from hansa import atlas, identity, notifications, payments
from hansa.apps.messages import Message, Messenger, NotSent
from hansa.apps.personal_means import means_of
from hansa.apps.web.languages import Words
from hansa.apps.web.notice_words import said, words_in
from hansa.kernel import HansaError
from hansa.notifications import Due, Outcome, Said
from hansa.store import Context, Tx

logger = logging.getLogger("hansa.notices")

EVERY_S = 2.0
"""How often the worker looks for messages to send, in seconds."""

FORGET_EVERY_S = 3_600.0
SOME = 50
SUBJECT = "News of your Hansa wallet"
FOOT = "You can say how you are told in your wallet, under Notices. Nobody from Hansa asks you for a code or a PIN."


def payee_names(tx: Tx, payee_ids: Collection[str]) -> Mapping[str, str]:
    """The names of payees by their ids."""
    return {name: one.name for name, one in payments.find_payees(tx, sorted(payee_ids)).items()}


def keep_notices(ctx: Context, home: Path, *, demo: bool, every_s: float = EVERY_S) -> Callable[[], None]:
    """For each turn of the worker: hand over the messages that are due, and forget what is old.

    every_s: how often that is done at most. A house without the secrets for contacts sends nothing; it is told once.
    """
    told: list[str] = []
    done_at, forgot_at = -every_s, monotonic()

    def turn() -> None:
        nonlocal done_at, forgot_at
        now = monotonic()
        if now - done_at < every_s:
            return
        done_at = now
        if now - forgot_at >= FORGET_EVERY_S:
            forgot_at = now
            notifications.forget(ctx)
        try:
            means = means_of(home, demo=demo)
        except HansaError as error:
            if error.detail not in told:
                told.append(error.detail)
                logger.warning("%s: %s", error.code, error.detail)
            return
        send_due(ctx, means.sealer, means.messenger)

    return turn


def send_due(ctx: Context, sealer: identity.Sealer, messenger: Messenger, *, limit: int = SOME) -> int:
    """Hand over messages that are due; gives how many were looked at.

    Killed before it is written down that one was handed over, it is handed over again under the same id.
    """
    due = notifications.lease_messages(ctx, limit=limit)
    for one in due:
        notifications.ended(ctx, one, _send(ctx, sealer, messenger, one))
    return len(due)


def _send(ctx: Context, sealer: identity.Sealer, messenger: Messenger, due: Due) -> Outcome | None:
    assert due.channel != "app", "the wallet's own list is no message"
    with ctx.tx() as tx:
        account = identity.find_account(tx, due.notice.account_id)
        if account is None or identity.is_closed(tx, account.account_id):
            return "no_contact"
        contact = identity.contact_of(tx, sealer, account.account_id).get(due.channel)
        zone = _zone_of(tx, account)
    if contact is None or contact.value is None:
        return "no_contact"
    say = words_in(account.language)
    text = said(due.notice, say, zone)
    if text is None:
        return "gave_up"
    message = Message(
        message_id=due.message_id,
        way=due.channel,
        to=contact.value,
        subject=say(SUBJECT),
        text=_text(text, due, say),
        language=say.language,
        kind=due.notice.kind,
        made_at=due.notice.made_at,
    )
    try:
        messenger.send(message)
    except NotSent as error:
        logger.warning("%s: %s", error.code, error.detail)
        return None
    return "sent"


def _text(text: Said, due: Due, say: Words) -> str:
    """An e-mail says all; a text message names no amount unless its person wants that. Neither has a link to press."""
    if due.channel == "phone":
        return " ".join(
            part for part in ("Hansa:", text.text if due.amounts else text.short, text.more) if part
        )
    return "\n\n".join(part for part in (text.text, text.more, say(FOOT)) if part)


def _zone_of(tx: Tx, account: identity.Account) -> str:
    try:
        return atlas.get_city(tx, account.home_city_id).tz
    except atlas.UnknownCity:
        return "UTC"
