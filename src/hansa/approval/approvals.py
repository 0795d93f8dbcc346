"""What can be done with approvals: open one, give it by sign-in, PIN, passkey or a second person, refuse it, check it.

One approval is good for one subject, once. Whoever gives it takes the limits' use in the same transaction, so that what
was approved is within all limits at that moment; whatever stands against it then (a freeze, a limit) refuses it there.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import identity, webhooks
from hansa.approval import approvals_store as store
from hansa.approval import pins
from hansa.approval.approvals_model import (
    OPEN,
    STATES,
    Approval,
    ApprovalEnded,
    ApprovalExpired,
    ApprovalMethod,
    ApprovalState,
    EvidenceBroken,
    LevelTooLow,
    NotYours,
    Proof,
    Role,
    UnknownApproval,
    WaitsTooLong,
    approval_id_of,
)
from hansa.approval.canonical import Shown, Subject, agreed_by, challenge_of, read_subject
from hansa.approval.deciding import Given, give_back, judge, lock_account, policy_of
from hansa.approval.grants_store import delegations_to
from hansa.approval.model import Allowed, ApprovalLevel, Needs, Reason, Refused, Spend, SpendDiffers
from hansa.identity import AccountId, RelyingParty, Session
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Context, Secret, Tx

NEXT_MAX = 500
SOME = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What giving an approval came to. phase: given; cooling until executes_at; or second, when another must agree."""

    approval: Approval

    @property
    def given(self) -> bool:
        return self.approval.phase == "given"


# -- asking -------------------------------------------------------------------------------------------------


def open_approval(
    tx: Tx,
    spend: Spend | None,
    level: ApprovalLevel,
    subject: Subject,
    next_url: str,
    at: datetime,
    *,
    account_id: AccountId | None = None,
    partition: int = 0,
    reasons: Sequence[Reason] = (),
    expires_at: datetime | None = None,
    asks_for: timedelta | None = None,
) -> Approval:
    """Ask a person to approve this subject; asking again finds the same approval, however it stands.

    spend: what is spent by it; None where nothing is, as by a mandate: then account_id and partition say whose it is.
    level, reasons: as ``decide`` gave them. next_url: a path of this site to go on to. asks_for: how long it waits for
    the person, else as the policy says; expires_at: no longer than this. Errors: SpendDiffers when the subject was
    asked with other bytes; InvalidInput for next_url; NotCanonical.
    """
    owner = account_id if spend is None else spend.account_id
    assert owner is not None, "an approval is of somebody's account"
    shown = read_subject(subject.canonical)
    assert (shown.kind, shown.subject_id, shown.account_id) == (subject.kind, subject.subject_id, owner)
    if spend is not None:
        partition = spend.partition
        assert (shown.amount, shown.payee_key, shown.payee_name) == (
            spend.amount,
            spend.payee_key,
            spend.payee_name,
        ), "what is shown and signed is what is spent"
    issuer_id = identity.get_account(tx, owner).issuer_id
    last = at + (asks_for or timedelta(minutes=policy_of(tx, issuer_id).waits.expires_min))
    approval = Approval(
        partition=partition,
        approval_id=approval_id_of(subject.kind, subject.subject_id),
        account_id=owner,
        approver_id=owner if spend is None or spend.by is None else spend.by,
        kind=subject.kind,
        subject_id=subject.subject_id,
        canonical=subject.canonical,
        spend=None if spend is None else replace(spend, session_at=None),
        level=level,
        reasons=tuple(dict.fromkeys(one.name for one in reasons)),
        next_url=check_next(next_url),
        phase="waiting",
        opened_at=at,
        expires_at=last if expires_at is None else min(last, expires_at),
        executes_at=None,
        ended_at=None,
        given_level=None,
    )
    if store.open_approval(tx, approval):
        _tell(tx, approval, "approval.waiting", [approval.approver_id], at)
        return approval
    known = store.find_approval(tx, approval.approval_id)
    assert known is not None
    if known.canonical != approval.canonical:
        raise SpendDiffers("This was asked with other content before.")
    return known


def approval_state(tx: Tx, subject_ids: Collection[UUID]) -> dict[UUID, ApprovalState]:
    """How the approvals of these subjects stand; NONE for those that nobody was asked about."""
    found = store.fetch_states(tx, subject_ids)
    return {one: STATES[found[one]] if one in found else ApprovalState.NONE for one in subject_ids}


def get_approval(tx: Tx, approval_id: UUID, person_id: AccountId, at: datetime) -> tuple[Approval, Role]:
    """The approval, as this person may see it, and as which of its people they are.

    One whose time is over is shown as expired. Errors: UnknownApproval, also for everybody whom it does not concern.
    """
    approval = store.find_approval(tx, approval_id)
    if approval is None:
        raise UnknownApproval
    role = _role(tx, approval, person_id, at)
    if role is None:
        raise UnknownApproval
    return _as_of(approval, at), role


def list_open(tx: Tx, person_id: AccountId, at: datetime) -> list[Approval]:
    """What waits for this person, as its payer or as a second person, or cools; the newest first."""
    accounts = {person_id, *store.co_approved_by(tx, person_id), *identity.wards_of(tx, person_id)}
    accounts |= {one.account_id for one in delegations_to(tx, person_id)}
    found = store.list_for(tx, accounts, at)
    return [one for one in found if _concerns(tx, one, person_id, at)]


# -- giving -------------------------------------------------------------------------------------------------


def give_by_session(ctx: Context, approval_id: UUID, session: Session) -> Outcome:
    """Approve by being signed in. Errors: LevelTooLow where more is asked; and those of all ways to give."""
    at = ctx.clock.now()
    return _settled(
        ctx,
        lambda tx: _give(
            tx, approval_id, session, "session", ApprovalLevel.SESSION, at, credential_at=None, proof=None
        ),
    )


def give_by_pin(ctx: Context, approval_id: UUID, session: Session, pin: str, pepper: Secret) -> Outcome:
    """Approve by the payment PIN. A try counts before it is looked at.

    Errors: pins.PinWrong, PinLocked, NoPin; LevelTooLow where more is asked; and those of all ways to give.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        approval, role = get_approval(tx, approval_id, session.account_id, at)
        _refuse_ended(approval)
        if role == "payer" and approval.level > ApprovalLevel.PIN:
            raise LevelTooLow
    set_at = pins.check_pin(ctx, session.account_id, pin, pepper)
    return _settled(
        ctx,
        lambda tx: _give(
            tx, approval_id, session, "pin", ApprovalLevel.PIN, at, credential_at=set_at, proof=None
        ),
    )


def begin_passkey(ctx: Context, approval_id: UUID, session: Session, rp: RelyingParty) -> str:
    """What to ask the browser so that a passkey signs this very subject: options as JSON.

    Errors: UnknownApproval, ApprovalEnded, ApprovalExpired; identity.NoPasskey.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        approval, role = get_approval(tx, approval_id, session.account_id, at)
        _refuse_ended(approval)
        return identity.begin_assertion(
            tx,
            rp=rp,
            purpose="bound",
            owner=str(session.session_id),
            at=at,
            account_id=session.account_id,
            challenge=challenge_of(_to_sign(approval, role, session.account_id)),
        )


def give_by_passkey(
    ctx: Context, approval_id: UUID, session: Session, credential: str, rp: RelyingParty
) -> Outcome:
    """Approve by a passkey that signed this very subject; as its payer, or as the second person who agrees.

    credential: the browser's answer, as JSON. Errors: identity.CeremonyRefused, ChallengeRefused, UnknownPasskey,
    CounterWentBack; NotYours; and those of all ways to give.
    """
    at = ctx.clock.now()

    def give(tx: Tx) -> Outcome | HansaError:
        approval, role = get_approval(tx, approval_id, session.account_id, at)
        _refuse_ended(approval)
        signed = _to_sign(approval, role, session.account_id)
        asserted = identity.finish_assertion(
            tx,
            credential,
            rp=rp,
            purpose="bound",
            owner=str(session.session_id),
            at=at,
            challenge=challenge_of(signed),
        )
        if asserted.account_id != session.account_id:
            raise NotYours
        mine = identity.list_passkeys(tx, session.account_id)
        since = next(one.created_at for one in mine if one.passkey_id == asserted.passkey_id)
        evidence = asserted.evidence
        proof = Proof(
            n=0,
            account_id=session.account_id,
            role=role,
            method="passkey",
            given_at=at,
            session_id=session.session_id,
            passkey_id=asserted.passkey_id,
            signed=signed,
            rp_id=rp.rp_id,
            origin=rp.origin,
            credential_id=evidence.credential_id,
            public_key=evidence.public_key,
            authenticator_data=evidence.authenticator_data,
            client_data=evidence.client_data,
            signature=evidence.signature,
        )
        return _give(
            tx, approval_id, session, "passkey", ApprovalLevel.PASSKEY, at, credential_at=since, proof=proof
        )

    return _settled(ctx, give)


def refuse(ctx: Context, approval_id: UUID, person_id: AccountId) -> Approval:
    """Say no, or call off what cools; what was counted is given back. Saying it again changes nothing.

    Errors: UnknownApproval; ApprovalEnded when it was given already.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        approval, _ = get_approval(tx, approval_id, person_id, at)
        lock_account(tx, approval.partition, approval.account_id)
        approval = _locked(tx, approval_id)
        if approval.phase in ("refused", "canceled", "expired"):
            return approval
        if approval.phase == "given":
            raise ApprovalEnded
        cooling = approval.phase == "cooling"
        if cooling and approval.spend is not None:
            give_back(tx, [approval.spend.spend_id], at=at, partition=approval.partition)
        approval = replace(approval, phase="canceled" if cooling else "refused", ended_at=at)
        store.put_approval(tx, approval)
    return approval


def withdraw(tx: Tx, subject_ids: Collection[UUID], at: datetime) -> int:
    """Stop asking about these subjects, since they came to nothing otherwise; gives how many were open.

    What a cooling one counted is given back. One that was given stays so.
    """
    ended = 0
    for seen in store.list_open_of(tx, subject_ids):
        lock_account(tx, seen.partition, seen.account_id)
        approval = _locked(tx, seen.approval_id)
        if approval.phase in OPEN:
            if approval.phase == "cooling" and approval.spend is not None:
                give_back(tx, [approval.spend.spend_id], at=at, partition=approval.partition)
            store.put_approval(tx, replace(approval, phase="canceled", ended_at=at))
            ended += 1
    return ended


# -- by themselves ------------------------------------------------------------------------------------------


def turn(ctx: Context, *, limit: int = SOME) -> int:
    """End what nobody approved in time, and give what has cooled; gives how many. Killed, it is done again."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        done = store.expire(tx, at, limit)
        cooled = store.list_cooled(tx, at, limit)
    for approval_id in cooled:
        with ctx.tx() as tx:
            done += _cooled(tx, approval_id, at)
    return done


def tell(ctx: Context, advance: Callable[[Context, str, UUID], bool], *, limit: int = SOME) -> int:
    """Tell whoever waits for approvals how they ended; gives how many were told.

    advance: takes the kind and the subject, goes on with it, and is harmless again; False where nobody waits for this
    kind. One that fails is tried again in the next turn and holds up no other.
    """
    with ctx.tx() as tx:
        waiting = store.list_to_tell(tx, limit)
    told = 0
    failed: HansaError | None = None
    for partition, approval_id, kind, subject_id in waiting:
        try:
            advance(ctx, kind, subject_id)
        except HansaError as error:
            failed = error
            continue
        with ctx.tx() as tx:
            store.mark_told(tx, partition, approval_id, ctx.clock.now())
        told += 1
    if failed is not None and not told:
        raise failed
    return told


# -- checking -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """One proof that was found good. how: in words. origin: of the page where a passkey signed; empty otherwise."""

    account_id: AccountId
    role: Role
    method: ApprovalMethod
    given_at: datetime
    origin: str


def check(tx: Tx, approval_id: UUID) -> tuple[Approval, list[CheckedProof]]:
    """Check again that this approval was given by what its evidence says, from the stored bytes alone.

    Each passkey's signature is verified over its challenge, the challenge against the bytes, the bytes against what
    was spent, and the level against the proofs. Errors: UnknownApproval; EvidenceBroken, naming the part.
    """
    approval = store.find_approval(tx, approval_id)
    if approval is None:
        raise UnknownApproval(f"There is no approval {approval_id}.")
    shown = _readable(approval)
    spend = approval.spend
    if (shown.subject_id, shown.account_id) != (approval.subject_id, approval.account_id):
        raise _broken("canonical", "it is about something else than its row")
    if spend is not None and (shown.amount, shown.payee_key) != (spend.amount, spend.payee_key):
        raise _broken("canonical", "it shows another amount or payee than was spent")
    proofs = store.list_proofs(tx, approval)
    for proof in proofs:
        if proof.method == "passkey":
            _check_signature(approval, proof)
    level = _shown_level(approval, proofs)
    if (
        approval.given_level is not None
        and approval.phase in ("given", "cooling")
        and level < approval.given_level
    ):
        raise _broken("evidence", f"it shows {level.word}, but {approval.given_level.word} was given")
    return approval, [
        CheckedProof(one.account_id, one.role, one.method, one.given_at, one.origin or "") for one in proofs
    ]


def _check_signature(approval: Approval, proof: Proof) -> None:
    wanted = approval.canonical if proof.role == "payer" else agreed_by(approval.canonical, proof.account_id)
    if proof.signed != wanted:
        raise _broken(f"evidence {proof.n} signed", "other bytes were signed than this approval shows")
    assert proof.rp_id is not None and proof.origin is not None
    parts = (
        proof.credential_id,
        proof.public_key,
        proof.authenticator_data,
        proof.client_data,
        proof.signature,
    )
    credential_id, public_key, authenticator_data, client_data, signature = (one or b"" for one in parts)
    evidence = identity.Evidence(credential_id, public_key, authenticator_data, client_data, signature)
    try:
        identity.check_evidence(evidence, challenge_of(wanted), proof.rp_id, proof.origin)
    except identity.CeremonyRefused as error:
        raise _broken(
            f"evidence {proof.n}", f"the signature is not good: {error.problems[0].what}"
        ) from error


def _shown_level(approval: Approval, proofs: Sequence[Proof]) -> ApprovalLevel:
    """The level that these proofs come to."""
    by = {proof.role: proof.method for proof in proofs}
    levels = {"session": ApprovalLevel.SESSION, "pin": ApprovalLevel.PIN, "passkey": ApprovalLevel.PASSKEY}
    level = levels[by["payer"]] if "payer" in by else ApprovalLevel.NONE
    if level == ApprovalLevel.PASSKEY:
        if "second" in by:
            return ApprovalLevel.SECOND_PERSON
        if approval.executes_at is not None:
            return ApprovalLevel.PASSKEY_DELAY
    return level


# -- second people ------------------------------------------------------------------------------------------


def second_people(tx: Tx, approval: Approval, at: datetime) -> list[AccountId]:
    """Who may agree to this as a second person: a ward's guardians, whom nobody that the ward chose stands in for; else
    the owner where a delegate spends; else those whom the owner named. Never who approved it.
    """
    guardians = identity.guardian_of(tx, approval.account_id)
    if found := [one for one in guardians if one != approval.approver_id]:
        return found
    if approval.approver_id != approval.account_id:
        return [approval.account_id]
    named = store.co_approvers(tx, approval.partition, approval.account_id)
    return [one.approver_id for one in named if one.holds_from <= at]


# -- inside -------------------------------------------------------------------------------------------------


def _settled(ctx: Context, give: Callable[[Tx], Outcome | HansaError]) -> Outcome:
    """Run it in one transaction. What it learned (a higher level) is kept even where it then refuses."""
    with ctx.tx() as tx:
        found = give(tx)
    if isinstance(found, HansaError):
        raise found
    return found


def _give(
    tx: Tx,
    approval_id: UUID,
    session: Session,
    method: ApprovalMethod,
    has: ApprovalLevel,
    at: datetime,
    *,
    credential_at: datetime | None,
    proof: Proof | None,
) -> Outcome | HansaError:
    """Take what a person gave. An error that is returned, not raised, leaves what was learned."""
    seen, role = get_approval(tx, approval_id, session.account_id, at)
    # The account before the approval, as everybody locks them.
    lock_account(tx, seen.partition, seen.account_id)
    approval = _as_of(_locked(tx, approval_id), at)
    if approval.phase == "given" and role == "payer":
        return ApprovalEnded()
    _refuse_ended(approval)
    if (approval.phase == "second") != (role == "second"):
        return ApprovalEnded("This waits for another person now.")
    if role == "second":
        if method != "passkey":
            return LevelTooLow("A second person agrees with a passkey.")
        has = ApprovalLevel.SECOND_PERSON
    need = max(approval.level, _needed(tx, approval, credential_at, at))
    if has < ApprovalLevel.PASSKEY and need > has:
        if need > approval.level:
            store.put_approval(tx, replace(approval, level=need))
        return LevelTooLow(f"This payment needs more by now: {need.word.replace('_', ' ')}.")
    proof = proof or Proof(
        n=0, account_id=session.account_id, role=role, method=method, given_at=at, session_id=session.session_id,
        passkey_id=None, signed=None, rp_id=None, origin=None, credential_id=None, public_key=None,
        authenticator_data=None, client_data=None, signature=None,
    )  # fmt: skip
    policy = policy_of(tx, identity.get_account(tx, approval.account_id).issuer_id)
    # What is asked ends sooner than people have to answer where it holds no longer itself: by a quote, with its rate.
    ends_soon = approval.expires_at < approval.opened_at + timedelta(minutes=policy.waits.expires_min)
    if ends_soon and need == ApprovalLevel.PASSKEY_DELAY and has < need:
        return WaitsTooLong()
    store.add_proof(tx, approval, proof)
    if need == ApprovalLevel.SECOND_PERSON and has < need:
        until = approval.expires_at if ends_soon else at + timedelta(hours=policy.waits.second_person_h)
        approval = replace(approval, phase="second", level=need, expires_at=until)
        _tell(tx, approval, "approval.second", second_people(tx, approval, at), at)
    elif need == ApprovalLevel.PASSKEY_DELAY and has < need:
        _take(tx, approval, ApprovalLevel.PASSKEY_DELAY, credential_at, at)
        executes_at = at + timedelta(hours=policy.waits.delay_h)
        approval = replace(
            approval,
            phase="cooling",
            level=need,
            executes_at=executes_at,
            given_level=ApprovalLevel.PASSKEY_DELAY,
        )
        _tell(tx, approval, "approval.cooling", [approval.approver_id], at)
    else:
        _take(tx, approval, has, credential_at, at)
        approval = replace(approval, phase="given", level=need, ended_at=at, given_level=has)
    store.put_approval(tx, approval)
    return Outcome(approval)


def _needed(tx: Tx, approval: Approval, credential_at: datetime | None, at: datetime) -> ApprovalLevel:
    """The level that policy asks for now, knowing what it is given with. Takes nothing. Errors: whatever refuses it."""
    if approval.spend is None:
        return approval.level
    # Judged as if nothing were given, so that nothing is counted; only how old the credential is is said.
    given = Given(ApprovalLevel.NONE, approval.approval_id, credential_at)
    verdict = judge(tx, [approval.spend], at, {approval.spend.spend_id: given})[0]
    if isinstance(verdict, Refused):
        raise verdict.error
    return verdict.level if isinstance(verdict, Needs) else ApprovalLevel.NONE


def _take(
    tx: Tx, approval: Approval, has: ApprovalLevel, credential_at: datetime | None, at: datetime
) -> None:
    """Count the spend as approved. Errors: whatever refuses it."""
    if approval.spend is None:
        return
    spend = approval.spend
    verdict = judge(tx, [spend], at, {spend.spend_id: Given(has, approval.approval_id, credential_at)})[0]
    if isinstance(verdict, Refused):
        raise verdict.error
    assert isinstance(verdict, Allowed), "what was needed was given"


def _cooled(tx: Tx, approval_id: UUID, at: datetime) -> int:
    """Give what has cooled; refuse it where its account was frozen meanwhile."""
    seen = store.find_approval(tx, approval_id)
    if seen is None:
        return 0
    account = lock_account(tx, seen.partition, seen.account_id)
    approval = _locked(tx, approval_id)
    if approval.phase != "cooling" or approval.executes_at is None or approval.executes_at > at:
        return 0
    if account.frozen_at is not None and approval.spend is not None:
        give_back(tx, [approval.spend.spend_id], at=at, partition=approval.partition)
        store.put_approval(tx, replace(approval, phase="canceled", ended_at=at))
    else:
        store.put_approval(tx, replace(approval, phase="given", ended_at=at))
    return 1


def _tell(tx: Tx, approval: Approval, kind: str, people: Sequence[AccountId], at: datetime) -> None:
    """Tell these persons; what becomes of the subject takes the notice's place. Of mandates, which have words of their
    own, a second person alone is told here.
    """
    shown = approval.shown
    if shown.amount is None or (approval.spend is None and kind != "approval.second"):
        return
    to_a_link = shown.payee_key.startswith("link:")  # its name is a word, and not somebody's own
    facts = {
        "payee": {"word": shown.payee_name} if to_a_link else shown.payee_name,
        "amount": {"minor": shown.amount.minor, "currency": shown.amount.currency},
        "until": {"at": (approval.executes_at or approval.expires_at).isoformat()},
    }
    webhooks.tell(
        tx,
        *(
            webhooks.ForPerson(
                account_id=one,
                kind=kind,
                at=at,
                subject=str(approval.subject_id),
                facts=facts,
                fact=(approval.approval_id,),
            )
            for one in people
        ),
    )


def _to_sign(approval: Approval, role: Role, person_id: UUID) -> bytes:
    return approval.canonical if role == "payer" else agreed_by(approval.canonical, person_id)


def _role(tx: Tx, approval: Approval, person_id: AccountId, at: datetime) -> Role | None:
    if person_id == approval.approver_id:
        return "payer"
    return "second" if person_id in second_people(tx, approval, at) else None


def _concerns(tx: Tx, approval: Approval, person_id: AccountId, at: datetime) -> bool:
    role = _role(tx, approval, person_id, at)
    return role == "payer" or (role == "second" and approval.phase in ("second", "cooling"))


def _locked(tx: Tx, approval_id: UUID) -> Approval:
    approval = store.find_approval(tx, approval_id, lock=True)
    assert approval is not None
    return approval


def _as_of(approval: Approval, at: datetime) -> Approval:
    """The approval at this instant: one whose time is over has expired, though nobody wrote so yet."""
    if approval.phase in ("waiting", "second") and approval.expires_at <= at:
        return replace(approval, phase="expired", ended_at=approval.expires_at)
    return approval


def _refuse_ended(approval: Approval) -> None:
    if approval.phase == "expired":
        raise ApprovalExpired
    if approval.phase not in ("waiting", "second"):
        raise ApprovalEnded


def _readable(approval: Approval) -> Shown:
    try:
        return read_subject(approval.canonical)
    except HansaError as error:
        raise _broken("canonical", "it cannot be read") from error


def _broken(where: str, what: str) -> EvidenceBroken:
    remedy = "The row was changed after it was written; compare it with a copy"
    return EvidenceBroken(f"{where}: {what}.", problems=(Problem(where, what, remedy),))


def check_next(next_url: str) -> str:
    """The path to go on to, if it is one of this site. Errors: InvalidInput."""
    good = (
        len(next_url) <= NEXT_MAX
        and next_url.startswith("/")
        and not next_url.startswith(("//", "/\\"))
        and "\\" not in next_url
        and all(" " < letter < "\x7f" for letter in next_url)
    )
    if not good:
        problem = Problem("next_url", "it is no path of this site", "Begin it with one slash: /wallet/home")
        raise InvalidInput("Nobody is sent to another site from here.", problems=(problem,))
    return next_url
