"""Payer codes at the till: whose a scanned code is, and that each pays once (docs/payment-codes.md).

The code itself is `hansa.codes.payer`'s. Here stands what only the books know: the phone behind the key, whether it or
its account was blocked, whether the token was revoked, and which counters were used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from psycopg.rows import class_row

from hansa import approval, codes, identity, trust
from hansa.codes import PAYER_REASONS, PayerCodeRefused
from hansa.codes.payer import OLDEST
from hansa.identity import AccountId
from hansa.kernel import Directory, HansaError
from hansa.store import Tx

KEPT = timedelta(days=2)
"""How long used counters are kept: a token lives for a day at most."""

FIND_USED = """
select u.cti, u.counter, u.payment_id, u.pays_from
from payments.used_codes as u
join unnest(%s::smallint[], %s::bytea[], %s::int[]) as w (partition, cti, counter)
    on (u.partition, u.cti, u.counter) = (w.partition, w.cti, w.counter)
"""

USE = """
insert into payments.used_codes
    (partition, cti, counter, account_id, phone_id, payment_id, code_text, made_at, used_at, pays_from)
select * from unnest(%s::smallint[], %s::bytea[], %s::int[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::uuid[])
order by 1, 2, 3
on conflict do nothing
"""

RECALL = """
select account_id, phone_id, cti, counter, made_at, pays_from
from payments.used_codes where payment_id = %s and code_text = %s
"""

LIST_USED = """
select payment_id, phone_id, made_at, used_at
from payments.used_codes
where partition = %s and account_id = %s
order by used_at desc
limit %s
"""

FORGET = """
delete from payments.used_codes where ctid = any(array(
    select ctid from payments.used_codes where used_at < %s order by used_at limit %s))
"""


class PaymentCodeError(HansaError):
    """This code pays nothing."""

    code: ClassVar[str] = "payments.code_refused"
    status: ClassVar[int] = 422
    next_action: ClassVar[str] = "show_fresh_code"
    reason: ClassVar[str] = "malformed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or PAYER_REASONS[self.reason])


class CodeMalformed(PaymentCodeError):
    """This is no Hansa payment code: another network's, a part of one, or not signed by its phone."""

    code: ClassVar[str] = "payments.code_malformed"
    remedy: ClassVar[str] = "Scan the code again. If it stays so, take another means of payment."


class CodeWrongPurpose(PaymentCodeError):
    """The code was made for something else than paying, such as a ride."""

    code: ClassVar[str] = "payments.code_wrong_purpose"
    remedy: ClassVar[str] = "Ask the payer to open Pay, My code."
    reason: ClassVar[str] = "wrong_purpose"


class CodeUnknown(PaymentCodeError):
    """No phone that we know made this code."""

    code: ClassVar[str] = "payments.code_unknown"
    remedy: ClassVar[str] = (
        "The payer connects the phone to the wallet once, with network, and shows a fresh code."
    )
    next_action: ClassVar[str] = "connect_phone"
    reason: ClassVar[str] = "unknown_token"


class CodeExpired(PaymentCodeError):
    """The code is older than a minute, is of a time to come, or its phone was offline for too long."""

    code: ClassVar[str] = "payments.code_expired"
    remedy: ClassVar[str] = "Have a fresh code shown, and scan it at once."
    reason: ClassVar[str] = "expired"


class CodeRevoked(PaymentCodeError):
    """The phone, its token or its account was blocked."""

    code: ClassVar[str] = "payments.code_revoked"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Take another means of payment. The payer asks the issuer."
    next_action: ClassVar[str] = "contact_issuer"
    reason: ClassVar[str] = "revoked"


class CodeUsed(PaymentCodeError):
    """The code has paid already. Each is good once."""

    code: ClassVar[str] = "payments.code_used"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Have a fresh code shown. If you meant the same payment, send its own id again."
    reason: ClassVar[str] = "used"


REFUSALS: tuple[type[PaymentCodeError], ...] = (
    CodeMalformed,
    CodeWrongPurpose,
    CodeUnknown,
    CodeExpired,
    CodeRevoked,
    CodeUsed,
)
"""All that `read_payment_code` and `use_payment_codes` raise."""

_BY_REASON: dict[str, type[PaymentCodeError]] = {
    "malformed": CodeMalformed,
    "other_application": CodeMalformed,
    "bad_signature": CodeMalformed,
    "wrong_purpose": CodeWrongPurpose,
    "unknown_token": CodeUnknown,
    "expired": CodeExpired,
    "not_yet": CodeExpired,
    "token_expired": CodeExpired,
    "revoked": CodeRevoked,
    "used": CodeUsed,
}


@dataclass(frozen=True, slots=True)
class PaymentCode:
    """A payer's code that is to be believed. account_id: whose phone shows it. text: evidence, to be checked again.

    counter: good for one payment. expires_at: of the code, 60 s after it was made. pays_from: the owner from whose
    wallet it pays, where whoever shows it spends from another's; None: from their own.
    """

    account_id: AccountId
    phone_id: UUID
    issuer_id: str
    cti: bytes
    counter: int
    made_at: datetime
    expires_at: datetime
    text: str
    pays_from: AccountId | None = None

    @property
    def payer(self) -> AccountId:
        """Whose wallet pays."""
        return self.pays_from or self.account_id

    @property
    def spender(self) -> AccountId | None:
        """Who spends from another's wallet; None where the payer does."""
        return None if self.pays_from is None else self.account_id

    def evidence(self) -> dict[str, Any]:
        """What a payment keeps of it, as JSON takes it."""
        return {
            "kind": "payment_code",
            "text": self.text,
            "phone_id": str(self.phone_id),
            "cti": self.cti.hex(),
            "counter": self.counter,
            "made_at": self.made_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class UsedCode:
    """A code of an account that paid."""

    payment_id: UUID
    phone_id: UUID
    made_at: datetime
    used_at: datetime


def read_payment_code(tx: Tx, text: str, at: datetime) -> PaymentCode:
    """Whose this code is, if it is good at ``at``: its signatures, its phone, its account. It is not used up by this.

    Errors: CodeMalformed, CodeWrongPurpose, CodeUnknown, CodeExpired, CodeRevoked.
    """
    try:
        code = codes.verify_payer_code(text, trust.current_trust_list(tx), now=at)
    except PayerCodeRefused as refused:
        raise _BY_REASON[refused.reason](refused.detail) from refused
    phone = identity.find_phone(tx, identity.phone_id_of(code.public_key))
    if phone is None:
        raise CodeUnknown
    account = identity.get_account(tx, phone.account_id)
    if account.issuer_id != code.issuer_id:
        raise CodeUnknown("The phone's account is another issuer's than its token.")
    stopped = phone.status != "active" or identity.standing_of(tx, phone.account_id).level != "clear"
    if stopped or trust.find_revoked(tx, [code.cti]):
        raise CodeRevoked
    return PaymentCode(
        phone.account_id,
        phone.phone_id,
        code.issuer_id,
        code.cti,
        code.counter,
        code.made_at,
        code.expires_at,
        text.strip(),
    )


def take_payment_code(tx: Tx, directory: Directory, text: str, payment_id: UUID, at: datetime) -> PaymentCode:
    """Whose this code is, and whose wallet it pays from; it is used up by this payment when ``tx`` commits.

    The same code for the same payment again is harmless, also when it is old by then, or its phone was blocked since.
    Errors: those of `read_payment_code`, and CodeUsed.
    """
    try:
        code = read_payment_code(tx, text, at)
    except (CodeExpired, CodeRevoked):
        known = _recall(tx, text.strip(), payment_id)
        if known is None:
            raise
        return known
    partition = directory.partition_of(code.account_id)
    code = replace(code, pays_from=approval.code_wallet_of(tx, partition, code.account_id))
    (used,) = use_payment_codes(tx, [(partition, code, payment_id)], at)
    return used


def _recall(tx: Tx, text: str, payment_id: UUID) -> PaymentCode | None:
    """The code that this payment used up, if it is this one."""
    row = tx.execute(RECALL, (payment_id, text)).fetchone()
    if row is None:
        return None
    account_id, phone_id, cti, counter, made_at, pays_from = row
    issuer_id = identity.get_account(tx, AccountId(account_id)).issuer_id
    return PaymentCode(
        AccountId(account_id),
        phone_id,
        issuer_id,
        bytes(cti),
        counter,
        made_at,
        made_at + OLDEST,
        text,
        None if pays_from is None else AccountId(pays_from),
    )


def use_payment_codes(
    tx: Tx, uses: Sequence[tuple[int, PaymentCode, UUID]], at: datetime
) -> list[PaymentCode]:
    """Let these codes pay, each once: (partition of who shows it, code, payment). The same payment again is harmless.

    Gives the codes in order, each with the wallet from which it pays: of a repeat the first one's. Of two payments with
    one code, one goes through and the other waits for its commit. Errors: CodeUsed, and then the caller's transaction
    must not commit.
    """
    if not uses:
        return []
    ordered = sorted(uses, key=lambda one: (one[0], one[1].cti, one[1].counter))
    partitions = [partition for partition, _, _ in ordered]
    ctis = [code.cti for _, code, _ in ordered]
    counters = [code.counter for _, code, _ in ordered]
    tx.execute(
        USE,
        (
            partitions,
            ctis,
            counters,
            [code.account_id for _, code, _ in ordered],
            [code.phone_id for _, code, _ in ordered],
            [payment_id for _, _, payment_id in ordered],
            [code.text for _, code, _ in ordered],
            [code.made_at for _, code, _ in ordered],
            [at] * len(ordered),
            [code.pays_from for _, code, _ in ordered],
        ),
    )
    used = {
        (cti, counter): (payment_id, None if pays_from is None else AccountId(pays_from))
        for cti, counter, payment_id, pays_from in tx.execute(FIND_USED, (partitions, ctis, counters))
    }
    if any(used[code.cti, code.counter][0] != payment_id for _, code, payment_id in ordered):
        raise CodeUsed
    return [replace(code, pays_from=used[code.cti, code.counter][1]) for _, code, _ in uses]


def list_used_codes(tx: Tx, account_id: AccountId, *, partition: int = 0, limit: int = 50) -> list[UsedCode]:
    """Which codes of an account paid lately, newest first; kept for two days."""
    with tx.cursor(row_factory=class_row(UsedCode)) as cursor:
        return cursor.execute(LIST_USED, (partition, account_id, limit)).fetchall()


def forget_used_codes(tx: Tx, at: datetime, *, limit: int = 5_000) -> int:
    """Let go of counters whose tokens have ended, the oldest first; gives how many."""
    return tx.execute(FORGET, (at - KEPT, limit)).rowcount
