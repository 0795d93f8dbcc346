"""Consents: for what a person lets their data be used, given and taken back, each kept with the text they read.

What the service itself needs is no consent and is not here. Nothing is agreed to by silence: without a record, a
purpose is refused. A withdrawal counts from the moment it is kept.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar

import msgspec
from psycopg.rows import class_row

from hansa.identity.actions import get_account
from hansa.identity.guardians_store import agree_for
from hansa.identity.model import AccountId
from hansa.identity.persons_model import GuardianNeeded
from hansa.identity.persons_store import lacks_guardian
from hansa.identity.phone_store import lock_account
from hansa.kernel import HansaError
from hansa.store import Tx

RECORD = """
insert into identity.consents (account_id, purpose, revision, given, text_version, text_digest, language, channel,
    by_id, at)
select %(account)s, %(purpose)s, coalesce(max(revision), 0) + 1, %(given)s, %(version)s, %(digest)s, %(language)s,
    %(channel)s, %(by)s, %(at)s
from identity.consents where account_id = %(account)s and purpose = %(purpose)s
"""

LATEST = """
select distinct on (purpose) purpose, given, text_version, language, channel, by_id, at
from identity.consents where account_id = %s order by purpose, revision desc
"""

HISTORY = """
select purpose, given, text_version, language, channel, by_id, at
from identity.consents where account_id = %s order by at desc, purpose, revision desc
limit 1000
"""

OF_PURPOSE = """
select distinct on (account_id) account_id, given, text_version
from identity.consents where account_id = any(%s) and purpose = %s order by account_id, revision desc
"""


class UnknownPurpose(HansaError):
    """There is no such purpose to agree to. GET /v1/me/consents lists those there are."""

    code: ClassVar[str] = "identity.unknown_purpose"
    status: ClassVar[int] = 404
    user_message: ClassVar[str] = "This was not found."


class TextChanged(HansaError):
    """The text of this purpose has changed since it was read. Read it anew before agreeing to it."""

    code: ClassVar[str] = "identity.text_changed"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "read_again"
    user_message: ClassVar[str] = "The text has changed since you read it. Please read it again."


class GuardianAgrees(HansaError):
    """At this age a guardian agrees, in their own wallet. What was agreed to may be taken back by the ward as well."""

    code: ClassVar[str] = "identity.guardian_agrees"
    status: ClassVar[int] = 403
    next_action: ClassVar[str] = "ask_someone_else"
    user_message: ClassVar[str] = "At your age your guardian agrees for you. Ask them."


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one may agree to. anew: a new version of the text must be agreed to anew. text: by language."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    anew: bool
    order: int
    text: dict[str, str]

    def said(self, language: str) -> tuple[str, str]:
        """The text in this language, or in English where there is none; and in which language it is."""
        return (self.text[language], language) if language in self.text else (self.text["en"], "en")


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said about a purpose, at an instant. by_id: the person, or the guardian who answers for them.

    channel: where: ``wallet``, ``api``, ``desk``. text_version, language: which text was read.
    """

    purpose: str
    given: bool
    text_version: int
    language: str
    channel: str
    by_id: AccountId
    at: datetime


@cache
def purposes() -> Mapping[str, Purpose]:
    """All that one may agree to, in the order they are shown. From purposes.toml."""
    text = (files("hansa.identity") / "purposes.toml").read_text(encoding="utf-8")
    found = msgspec.toml.decode(text, type=dict[str, Purpose])
    return dict(sorted(found.items(), key=lambda one: one[1].order))


def say_consent(
    tx: Tx,
    account_id: AccountId,
    purpose: str,
    *,
    given: bool,
    text_version: int,
    language: str,
    channel: str,
    by_id: AccountId,
    at: datetime,
) -> Consent:
    """Keep that a person agrees to a purpose, or does not any more. Saying the same again changes nothing.

    text_version: of the text that was read. by_id: the person, or a guardian who answers for them.
    Errors: UnknownAccount; UnknownPurpose; TextChanged when agreeing to a text that is not today's; GuardianAgrees when
    another than the guardian agrees for a small child; GuardianNeeded where nobody answers for it yet.
    """
    wanted = _purpose(purpose)
    if given and text_version != wanted.version:
        raise TextChanged
    get_account(tx, account_id)
    lock_account(tx, account_id)
    if given and lacks_guardian(tx, account_id):
        raise GuardianNeeded
    guardians = agree_for(tx, account_id)
    if given and guardians and by_id not in guardians:
        raise GuardianAgrees
    now = {one.purpose: one for one in list_consents(tx, account_id)}.get(purpose)
    if now is not None and (now.given, now.text_version) == (given, wanted.version):
        return now
    text, language = wanted.said(language)
    values = {
        "account": account_id,
        "purpose": purpose,
        "given": given,
        "version": wanted.version,
        "digest": hashlib.sha256(text.encode()).digest(),
        "language": language,
        "channel": channel,
        "by": by_id,
        "at": at,
    }
    tx.execute(RECORD, values)
    return Consent(purpose, given, wanted.version, language, channel, by_id, at)


def list_consents(tx: Tx, account_id: AccountId) -> list[Consent]:
    """What was said last about each purpose; purposes about which nothing was said are left out."""
    return tx.cursor(row_factory=class_row(Consent)).execute(LATEST, (account_id,)).fetchall()


def history_of_consents(tx: Tx, account_id: AccountId) -> list[Consent]:
    """All that was ever said, the latest first; at most 1,000."""
    return tx.cursor(row_factory=class_row(Consent)).execute(HISTORY, (account_id,)).fetchall()


def may(tx: Tx, account_id: AccountId, purpose: str) -> bool:
    """Whether this account's data may be used for that now. Errors: UnknownPurpose."""
    return bool(who_may(tx, [account_id], purpose))


def who_may(tx: Tx, account_ids: Sequence[AccountId], purpose: str) -> set[AccountId]:
    """Those of these accounts whose data may be used for that now, in one statement. Errors: UnknownPurpose."""
    wanted = _purpose(purpose)
    rows = tx.execute(OF_PURPOSE, (list(account_ids), purpose)).fetchall()
    return {
        AccountId(account_id)
        for account_id, given, version in rows
        if given and (version == wanted.version or not wanted.anew)
    }


def _purpose(name: str) -> Purpose:
    found = purposes().get(name)
    if found is None:
        raise UnknownPurpose(f"There is no purpose {name[:60]!r}.")
    return found
