"""Notices in words and on their way: sentences in the reader's language, messages by e-mail and telephone.

The room of notifications knows facts, kinds and wishes; contacts are sealed in identity; sentences are in the
catalogues of pages. Here they meet: for the pages that show notices, and for the worker, which hands messages over.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from time import monotonic
from uuid import UUID

from hansa import atlas, identity, notifications, payments
from hansa.apps.messages import TEXT_MAX, Message, Messenger, NotSent
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
DIGEST = "What happened in your Hansa wallet"
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
    """Hand over messages that are due; gives how many were looked at. What a person wants together is one e-mail.

    Which go together was written down before; killed before it is written down that they were handed over, the same
    ones are handed over again under the same id, by which whoever brings them knows them.
    """
    due = notifications.lease_messages(ctx, limit=limit)
    together: dict[UUID, list[Due]] = {}
    for one in due:
        together.setdefault(one.message_id, []).append(one)
    for some in together.values():
        notifications.ended(
            ctx, some, _send(ctx, sealer, messenger, sorted(some, key=lambda one: one.notice.seq))
        )
    return len(due)


def _send(ctx: Context, sealer: identity.Sealer, messenger: Messenger, some: Sequence[Due]) -> Outcome | None:
    """Hand over one message that tells these, all of one person and channel."""
    due = some[0]
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
    texts = [text for one in some if (text := said(one.notice, say, zone)) is not None]
    if not texts:
        return "gave_up"
    message = Message(
        message_id=due.message_id,
        way=due.channel,
        to=contact.value,
        subject=say(DIGEST if due.batch_id else SUBJECT),
        text=_digest(texts, say) if due.batch_id else _text(texts[0], due, say),
        language=say.language,
        kind="digest" if due.batch_id else due.notice.kind,
        made_at=due.notice.made_at,
    )
    try:
        messenger.send(message)
    except NotSent as error:
        logger.warning("%s: %s", error.code, error.detail)
        return None
    return "sent"


def _digest(texts: Sequence[Said], say: Words) -> str:
    """News of a day in one e-mail, as much as fits; the rest is counted and stands in the wallet."""
    lines: list[str] = []
    room = TEXT_MAX - 600
    for one in texts:
        line = f"- {one.text}"
        if sum(len(kept) + 1 for kept in lines) + len(line) > room:
            break
        lines.append(line)
    left = len(texts) - len(lines)
    more = say.count(left, "{n} more is in your wallet.", "{n} more are in your wallet.") if left else ""
    return "\n\n".join(part for part in ("\n".join(lines), more, say(FOOT)) if part)


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
