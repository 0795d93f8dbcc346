"""Proving a real name: record the question, ask the provider outside of any transaction, record its answer.

A provider that does not answer is asked again, ever more seldom: not known is not failed. The question has the check's
own id as its reference, so it may be asked any number of times, by whoever comes first after a crash.
"""

import hashlib
import logging
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from hansa import webhooks
from hansa.identity import persons_store, proofing_store
from hansa.identity.actions import find_accounts, get_account
from hansa.identity.model import Account, AccountId
from hansa.identity.persons import data_key, find_data_key, note_birth
from hansa.identity.persons_model import LevelPolicy, PersonId, ProofLevel, real_name
from hansa.identity.phone_store import lock_account
from hansa.identity.proofing_model import (
    SAID_MAX,
    Answer,
    NoMatch,
    Presented,
    Proofing,
    ProofingDiffers,
    ProofingId,
    ProofingWaits,
    ProofProvider,
    Question,
    TooManyChecks,
    Unavailable,
    UnknownProofing,
    again_after,
)
from hansa.identity.sealing import Digest, Sealer, open_box, seal
from hansa.kernel import new_id
from hansa.store import Context, Tx

logger = logging.getLogger("hansa.proofing")

DAY = timedelta(days=1)
LEASE = timedelta(minutes=1)
"""How long whoever asks has until another may ask too: longer than any provider is waited for."""


def ask_proofing(
    ctx: Context,
    sealer: Sealer,
    provider: ProofProvider,
    *,
    proofing_id: UUID,
    account_id: AccountId,
    name: str,
    document: Presented,
    policy: LevelPolicy,
) -> Proofing:
    """Have a name and a document checked for this account; what came of it, which may be that no answer came yet.

    proofing_id: the caller's own; asking again with it gives what became of it.
    Errors: UnknownAccount, AccountClosed, InvalidInput for the name, ProofingDiffers, ProofingWaits, TooManyChecks;
    nothing is kept and nobody is asked then.
    """
    name = real_name(name)
    body = hashlib.sha256(msgspec.json.encode([str(account_id), name, document])).digest()
    at = ctx.clock.now()
    with ctx.tx() as tx:
        account = get_account(tx, account_id)
        lock_account(tx, account_id)
        known = proofing_store.find(tx, proofing_id)
        if known is None:
            _begin(tx, sealer, provider, proofing_id, account, name, document, body, policy=policy, at=at)
        elif known.account_id != account_id or known.body_digest not in _keyed(sealer, body):
            raise ProofingDiffers
    _ask(ctx, sealer, provider, proofing_id, policy)
    with ctx.tx() as tx:
        return get_proofing(tx, sealer, account_id, proofing_id)


def finish_proofings(
    ctx: Context, sealer: Sealer, provider: ProofProvider, *, policy: LevelPolicy, limit: int = 100
) -> int:
    """Ask again what was not answered, and end proofs whose time is over; how many of both."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        ended = proofing_store.end_past(tx, at, at.date())
        waiting = proofing_store.due(tx, at, limit)
    for proofing_id in waiting:
        _ask(ctx, sealer, provider, proofing_id, policy)
    return ended + len(waiting)


def get_proofing(tx: Tx, sealer: Sealer, account_id: AccountId, proofing_id: UUID) -> Proofing:
    """A check of this account. Errors: UnknownProofing, also for another account's."""
    row = proofing_store.find(tx, proofing_id)
    if row is None or row.account_id != account_id:
        raise UnknownProofing(f"You asked for no check {proofing_id}.")
    return _shown(row, find_data_key(tx, sealer, account_id))


def list_proofings(tx: Tx, sealer: Sealer, account_id: AccountId) -> list[Proofing]:
    """The checks of this account, the latest first; at most 100."""
    rows = proofing_store.of_account(tx, account_id)
    key = find_data_key(tx, sealer, account_id) if rows else None
    return [_shown(row, key) for row in rows]


def proven_name(tx: Tx, sealer: Sealer, account_id: AccountId) -> str | None:
    """The real name of this account's holder, of the best proof that holds; None without one."""
    good = [one for one in list_proofings(tx, sealer, account_id) if one.state == "matched"]
    return max(good, key=lambda one: (one.level, one.asked_at)).name if good else None


def find_proven(tx: Tx, sealer: Sealer, document: Presented, issuer_id: str) -> AccountId | None:
    """The account of this issuer that this very document proved, as the document itself; None where there is none.

    It is told nobody: whoever asks with a document has not shown yet that it is theirs.
    """
    known = persons_store.find_document(tx, sealer.digests("document", document.key))
    accounts = find_accounts(tx, persons_store.accounts_of(tx, known[1])) if known is not None else {}
    levels = persons_store.levels(tx, list(accounts))
    fit = [
        one.account_id
        for one in accounts.values()
        if one.issuer_id == issuer_id
        and levels[one.account_id] >= ProofLevel.DOCUMENT
        and persons_store.closed_at(tx, one.account_id) is None
    ]
    return fit[0] if len(fit) == 1 else None


def release_document(tx: Tx, account_id: AccountId, *, at: datetime) -> int:
    """End all proofs of this account, at its issuer's desk: its documents may prove another account then. How many.

    Errors: UnknownAccount.
    """
    get_account(tx, account_id)
    lock_account(tx, account_id)
    ended = proofing_store.end(tx, account_id, "released", at=at)
    _leave(tx, account_id)
    return ended


def renew_document_digests(ctx: Context, sealer: Sealer, *, limit: int = 200) -> int:
    """Find documents by the newest key: their digests are made anew. How many; zero when all are."""
    with ctx.tx() as tx:
        rows = proofing_store.documents_to_renew(tx, sealer.newest_lookup, limit)
        renewed = 0
        for old, proofing_id in rows:
            row = proofing_store.find(tx, proofing_id)
            question = _question(row, find_data_key(tx, sealer, row.account_id)) if row else None
            if question is not None:
                new = sealer.digest("document", question.document.key)
                proofing_store.renew_document(tx, old, new)
                renewed += 1
    return renewed


# -- asking -------------------------------------------------------------------------------------------------


def _begin(
    tx: Tx,
    sealer: Sealer,
    provider: ProofProvider,
    proofing_id: UUID,
    account: Account,
    name: str,
    document: Presented,
    body: bytes,
    *,
    policy: LevelPolicy,
    at: datetime,
) -> None:
    """Record what is about to be asked."""
    account_id = account.account_id
    if proofing_store.is_waiting(tx, account_id):
        raise ProofingWaits
    if proofing_store.asked_since(tx, account_id, at - DAY) >= policy.checks_per_day:
        raise TooManyChecks
    key = data_key(tx, sealer, account_id, at)
    question = Question(proofing_id, name, document, int(document.wanted))
    box = seal(key, msgspec.json.encode(question), owner=account_id, field=_field(proofing_id))
    proofing_store.add(
        tx,
        proofing_id,
        account_id,
        provider=provider.name,
        kind=document.kind,
        wanted=document.wanted,
        question=box,
        document=sealer.digest("document", document.key),
        body=_keyed(sealer, body)[0],
        at=at,
        next_ask_at=at + LEASE,
    )


def _ask(
    ctx: Context, sealer: Sealer, provider: ProofProvider, proofing_id: UUID, policy: LevelPolicy
) -> None:
    """Ask once, unless another does just now or it is answered."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        row = proofing_store.find(tx, proofing_id)
        assert row is not None
        if row.state != "asked" or row.provider != provider.name:
            return
        question = _question(row, find_data_key(tx, sealer, row.account_id))
        if question is None:  # the account was erased meanwhile
            proofing_store.answered(tx, proofing_id, "lapsed", at=at, ended_for="deleted")
            return
        tries = proofing_store.begin_asking(
            tx, proofing_id, at=at, next_ask_at=at + max(LEASE, again_after(row.tries + 1))
        )
        if tries is None:
            return
    answer = provider.check(question)
    with ctx.tx() as tx:
        _record(tx, sealer, proofing_id, question, answer, tries, policy, ctx.clock.now())


def _record(
    tx: Tx,
    sealer: Sealer,
    proofing_id: UUID,
    question: Question,
    answer: Answer,
    tries: int,
    policy: LevelPolicy,
    at: datetime,
) -> None:
    row = proofing_store.find(tx, proofing_id, lock=True)
    if row is None or row.state != "asked":
        return  # another was answered meanwhile: the first answer counts
    if isinstance(answer, Unavailable):
        logger.warning("%s did not answer check %s: %s", row.provider, proofing_id, answer.why)
        if tries >= policy.asks_max:
            proofing_store.answered(tx, proofing_id, "lapsed", at=at, ended_for="unavailable")
        return
    key = find_data_key(tx, sealer, row.account_id)
    if key is None:
        proofing_store.answered(tx, proofing_id, "lapsed", at=at, ended_for="deleted")
        return
    evidence = seal(
        key, answer.said[:SAID_MAX], owner=row.account_id, field=f"{_field(proofing_id)}/evidence"
    )
    if isinstance(answer, NoMatch):
        proofing_store.answered(tx, proofing_id, "not_matched", at=at, evidence=evidence)
        _tell(tx, row.account_id, "proof.refused", proofing_id, at)
        return
    document = question.document
    level = min(answer.level, ProofLevel(question.wanted))
    good_until = _good_until(document, at.date(), policy)
    account = get_account(tx, row.account_id)
    lock_account(tx, row.account_id)
    if level < ProofLevel.NAME or not _claim(tx, sealer, account, document, level, policy, at):
        why = "document_taken" if level >= ProofLevel.NAME else "level"
        proofing_store.answered(tx, proofing_id, "refused", at=at, evidence=evidence, ended_for=why)
        _tell(tx, row.account_id, "proof.refused", proofing_id, at)
        return
    proofing_store.answered(
        tx, proofing_id, "matched", at=at, level=level, evidence=evidence, good_until=good_until
    )
    _tell(tx, row.account_id, "proof.matched", proofing_id, at)
    proofing_store.end(tx, row.account_id, "replaced", at=at, up_to=level, but=proofing_id)
    if document.born is not None:
        note_birth(tx, sealer, row.account_id, document.born, source="proof", at=at)


def _tell(tx: Tx, account_id: AccountId, kind: str, proofing_id: UUID, at: datetime) -> None:
    subject = f"proofing {proofing_id}"
    one = webhooks.ForPerson(
        account_id=account_id, kind=kind, at=at, subject=subject, facts={}, fact=(proofing_id,)
    )
    webhooks.tell(tx, one)


# -- one document, one person -------------------------------------------------------------------------------


def _claim(
    tx: Tx,
    sealer: Sealer,
    account: Account,
    document: Presented,
    level: ProofLevel,
    policy: LevelPolicy,
    at: datetime,
) -> bool:
    """Make the document this account's person's; False when it proves another account at the same issuer as well.

    Where another account holds it by less proof, that one gives way: whoever shows more, holds.
    """
    mine = persons_store.find_person(tx, account.account_id)
    me = mine or PersonId(new_id())
    if mine is None:
        persons_store.add_person(tx, me, at)
    known = persons_store.find_document(tx, sealer.digests("document", document.key))
    digest = sealer.digest("document", document.key) if known is None else Digest(0, known[0])
    owner = persons_store.claim_document(tx, digest, me, at)
    if owner == me:
        if mine is None:
            persons_store.join(tx, account.account_id, me, at)
        return True
    rivals = _rivals(tx, account, mine, owner, policy)
    held = persons_store.levels(tx, rivals)
    if any(held[one] >= level for one in rivals):
        if mine is None:
            persons_store.forget_person(tx, me)
        return False
    for one in rivals:
        proofing_store.end(tx, one, "superseded", at=at)
        persons_store.leave(tx, one)
    if mine is None:
        persons_store.join(tx, account.account_id, owner, at)
        persons_store.forget_person(tx, me)
    else:
        persons_store.merge(tx, mine, owner)
    return True


def _rivals(
    tx: Tx, account: Account, mine: PersonId | None, owner: PersonId, policy: LevelPolicy
) -> list[AccountId]:
    """Accounts of the document's person which one person may not have beside those of ours, by policy."""
    ours = {account.account_id, *(persons_store.accounts_of(tx, mine) if mine else ())}
    issuers = {one.issuer_id for one in find_accounts(tx, list(ours)).values()}
    theirs = find_accounts(tx, persons_store.accounts_of(tx, owner))
    return sorted(
        one.account_id
        for one in theirs.values()
        if one.issuer_id in issuers
        and policy.second_account(one.issuer_id) == "refuse"
        and one.account_id not in ours
        and persons_store.closed_at(tx, one.account_id) is None
    )


def _leave(tx: Tx, account_id: AccountId) -> None:
    """This account is no person's; what documents prove nothing any more, are nobody's."""
    person = persons_store.leave(tx, account_id)
    if person is None:
        return
    if persons_store.accounts_of(tx, person):
        proofing_store.free_documents(tx, person)
    else:
        persons_store.forget_person(tx, person)


def leave_person(tx: Tx, account_id: AccountId) -> None:
    """For deletions: this account proves nobody any more."""
    _leave(tx, account_id)


def _good_until(document: Presented, today: date, policy: LevelPolicy) -> date:
    years = today.year + policy.proof_years
    last = date(years, today.month, today.day if (today.month, today.day) != (2, 29) else 28)
    return min(last, document.expires) if document.expires is not None else last


def _question(row: proofing_store.Row | None, key: bytes | None) -> Question | None:
    if row is None or row.question is None or key is None:
        return None
    text = open_box(key, row.question, owner=row.account_id, field=_field(row.proofing_id))
    return msgspec.json.decode(text, type=Question)


def _shown(row: proofing_store.Row, key: bytes | None) -> Proofing:
    question = _question(row, key)
    return Proofing(
        ProofingId(row.proofing_id),
        row.account_id,
        row.provider,
        row.kind,
        row.state,
        ProofLevel(row.level),
        row.asked_at,
        row.answered_at,
        row.next_ask_at,
        row.good_until,
        row.ended_for,
        question.name if question else None,
        question.document.number if question else None,
    )


def _field(proofing_id: UUID) -> str:
    return f"proofing/{proofing_id}"


def _keyed(sealer: Sealer, body: bytes) -> list[bytes]:
    """Digests of the whole question that nobody can guess a number from, the newest key's first."""
    return [one.octets for one in sealer.digests("proofing", body.hex())]
