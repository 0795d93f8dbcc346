"""HTTP for approvals, limits, the freeze, delegations and mandates."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from hansa import audit, identity, ledger, trust
from hansa.approval import (
    approvals,
    control,
    delegations_asked,
    delegations_used,
    grants,
    mandates_pulls,
    pins,
)
from hansa.approval.approvals_model import (
    Approval,
    ApprovalEnded,
    ApprovalExpired,
    LevelTooLow,
    NotYours,
    UnknownApproval,
    WaitsTooLong,
)
from hansa.approval.grants import (
    DelegationOverlaps,
    GrantDiffers,
    NewDelegation,
    NewMandate,
    UnknownDelegation,
)
from hansa.approval.incoming import held_in
from hansa.approval.limits import MINOR_MAX, Limit
from hansa.approval.mandates_pulls import Pull
from hansa.approval.model import (
    LimitReached,
    MandateEnded,
    MandateExceeded,
    NotDelegated,
    SpendingFrozen,
    UnknownMandate,
)
from hansa.approval.next_action import NextAction
from hansa.approval.standing import Delegation, Mandate
from hansa.identity import AccountId
from hansa.kernel import (
    CURRENCY_EXPONENTS,
    HansaError,
    InvalidInput,
    Money,
    Problem,
    in_utc,
    mark_text,
    paged,
    read_mark,
)
from hansa.store import Context, Secret, TooOften, Tx

Size = Annotated[int, QueryParameter(ge=1, le=100)]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=MINOR_MAX)]
Text = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]
Category = Text
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Hours = Annotated[int, msgspec.Meta(ge=0, le=grants.NOTICE_MAX_H)]

WardId = Annotated[UUID | None, QueryParameter(description="A ward's account, for who answers for them")]

PERSON: dict[str, Any] = {"who": ("session",)}


RetryDays = Annotated[
    list[Annotated[int, msgspec.Meta(ge=1, le=grants.RETRY_MAX_D)]],
    msgspec.Meta(max_length=grants.RETRIES_MAX),
]


class PayeeOfAnother(HansaError):
    """This payee is not one of yours."""

    code: ClassVar[str] = "approval.payee_of_another"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "List your payees at GET /v1/payees, and name one of them."


@dataclass(frozen=True, slots=True)
class Desk:
    """What these routes need from the application that serves them.

    session: of whoever asks, None where nobody is signed in. rp: whose passkeys work at this address; None: none do.
    pepper: gives the pepper of PINs. carry_on: goes on with a subject whose approval ended. payee: a payee's key, name
    and member; raises where there is none. wallet: an account's wallet in the ledger, by currency.
    """

    session: identity.Session | None
    rp: identity.RelyingParty | None
    pepper: Callable[[], Secret]
    carry_on: Callable[[str, UUID], object]
    payee: Callable[[Tx, str], tuple[str, str, str]]
    wallet: Callable[[AccountId, str], ledger.AccountId]

    def signed_in(self) -> identity.Session:
        """Errors: trust.NotSignedIn."""
        if self.session is None:
            raise trust.NotSignedIn("This needs your own sign-in.")
        return self.session

    def fresh(self, tx: Tx, at: datetime) -> identity.Session:
        """The session, if its person proved who they are just now. Errors: trust.NotSignedIn, identity.VerifyAnew."""
        session = self.signed_in()
        has_passkey = bool(identity.list_passkeys(tx, session.account_id))
        identity.refuse_stale(session, at, has_passkey=has_passkey, policy=identity.own_people_policy())
        return session


class ApprovalView(msgspec.Struct, frozen=True):
    """Something that a person is asked to approve.

    state: waiting, second (for another person), cooling (made at executes_at), given, refused, canceled, expired.
    level: what it needs. reasons: why, by name. amount: null where nothing is spent by it. as_second: you are asked to
    agree. canonical: the very bytes that are signed, as text; their SHA-256 is the passkey's challenge.
    """

    approval_id: UUID
    kind: str
    subject_id: UUID
    account_id: UUID
    state: str
    level: str
    reasons: list[str]
    amount: Money | None
    payee_name: str
    payee_key: str
    about: str
    opened_at: datetime
    expires_at: datetime
    executes_at: datetime | None
    as_second: bool
    canonical: str
    next_url: str


class ApprovalList(msgspec.Struct, frozen=True):
    """What waits for you, or cools; the newest first, at most 100."""

    approvals: list[ApprovalView]


class Give(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An approval. pin: six digits, for method pin. credential: the browser's answer as JSON text, for passkey."""

    method: Literal["session", "pin", "passkey"]
    pin: Annotated[str, msgspec.Meta(max_length=6)] = ""
    credential: Annotated[str, msgspec.Meta(max_length=identity.CREDENTIAL_MAX)] = ""


class Challenge(msgspec.Struct, frozen=True):
    """What to hand to `navigator.credentials.get`, as JSON text (PublicKeyCredentialRequestOptionsJSON)."""

    options: str


class LimitView(msgspec.Struct, frozen=True):
    """A limit that the owner set. minor: null is no limit; next_minor from next_at, while a raise waits."""

    currency: str
    scope: str
    span: str
    minor: int | None
    next_minor: int | None
    next_at: datetime | None


class LevelCap(msgspec.Struct, frozen=True):
    """A cap of the level of proof. used: of the year, what was paid; of the wallet, what it holds and what comes."""

    max: Money
    used: Money
    left: Money


class LevelAbove(msgspec.Struct, frozen=True):
    """A level of proof that raises a cap. year, balance: what it would be; null: none. url: where it is proved."""

    level: str
    year: Money | None
    balance: Money | None
    url: str


class CurrencyView(msgspec.Struct, frozen=True):
    """What may be spent of a currency by the issuer's policy, what was, and the owner's limits.

    year: what may be paid in a calendar year, balance: what the wallet may hold, both by the level of proof; null where
    there is no cap. raised_by: higher levels that raise either, the next one first; empty at the top.
    """

    currency: str
    payment_max: Money
    day_max: Money
    month_max: Money
    spent_day: Money
    spent_month: Money
    lowered: bool
    limits: list[LimitView]
    year: LevelCap | None
    balance: LevelCap | None
    raised_by: list[LevelAbove]


class LimitsView(msgspec.Struct, frozen=True):
    """Limits by currency. level: how well you are known: none, contact, name or document. frozen_at, frozen_by: where
    all spending is frozen.
    """

    level: str
    currencies: list[CurrencyView]
    frozen_at: datetime | None
    frozen_by: str | None


class NewLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit to set. scope: empty for all, channel:qr or category:5411. minor: null takes the limit away.

    account_id: a ward's, for who answers for them.
    """

    currency: Currency
    span: Literal["payment", "day", "month"]
    minor: Minor | None
    scope: Annotated[str, msgspec.Meta(max_length=40)] = ""
    account_id: UUID | None = None


class NewFreeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop spending, or let it go on. account_id: for an issuer's key, of one of its accounts; for a guardian, the
    ward's.
    """

    account_id: UUID | None = None
    reason: Text = ""


class FreezeView(msgspec.Struct, frozen=True):
    """How spending stands. frozen_at: null where it is not frozen."""

    account_id: UUID
    frozen_at: datetime | None
    frozen_by: str | None


class DelegationView(msgspec.Struct, frozen=True):
    """What an owner lets a delegate spend. state: asked, waiting, active, ended or revoked.

    asked: its owner has to sign it first, where next_action says; waiting: it begins at holds_from. asked_by: the
    member who asked its owner, empty where nobody did. replaces: the one whose place it takes; replaced_at: when
    another took, or takes, its place.
    """

    delegation_id: UUID
    owner_id: UUID
    delegate_id: UUID
    kind: str
    state: str
    payment_max: Money
    day_max: Money
    month_max: Money
    ask_above: Money | None
    categories: list[str]
    categories_denied: list[str]
    payees: list[str]
    from_hour: int
    to_hour: int
    holds_from: datetime
    ends_at: datetime
    asked_by: str
    next_action: NextAction | None
    replaces: UUID | None
    replaced_at: datetime | None


class DelegationList(msgspec.Struct, frozen=True):
    """granted: from your wallet, or asked for by your member. received: from others' wallets, by you."""

    granted: list[DelegationView]
    received: list[DelegationView]
    next: str | None = None


class Granting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A delegation to be given. Its id is yours, so that sending it again is harmless. Caps in minor units.

    owner_id: whose wallet it is; yours where you are signed in, an account of yours where you are its issuer.
    replaces: the delegation to this person that it changes; that one holds until this one begins.
    """

    delegation_id: UUID
    delegate_id: UUID
    kind: Literal["carer", "child", "employee", "other"]
    currency: Currency
    payment_minor: Minor
    day_minor: Minor
    month_minor: Minor
    ends_at: Instant
    ask_above_minor: Minor | None = None
    categories: Annotated[list[Category], msgspec.Meta(max_length=50)] = []
    categories_denied: Annotated[list[Category], msgspec.Meta(max_length=50)] | None = None
    payees: Annotated[list[Text], msgspec.Meta(max_length=50)] = []
    from_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0
    to_hour: Annotated[int, msgspec.Meta(ge=1, le=24)] = 24
    owner_id: UUID | None = None
    replaces: UUID | None = None


class Revoking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """owner_id: whose wallet it is; yours, or where you are the delegate, theirs."""

    owner_id: UUID


class MandateView(msgspec.Struct, frozen=True):
    """A payer's standing approval. state: asked, active, ended or revoked. approval_id: where the payer decides.

    notice_h: how many hours before each payment you announce it, as was signed; lead_h: how many the payer wants now.
    Above 0 a payment that was not announced is refused. retry_d: after how many days from the due one an announced
    payment that lacked money is tried again. paused_until: nothing is taken before; null: it is not paused.
    next_action: what its payer has to do before it holds.
    """

    mandate_id: UUID
    account_id: UUID
    payee_key: str
    payee_name: str
    reference: str
    state: str
    each_max: Money
    period: str
    period_max: Money
    asked_at: datetime
    holds_from: datetime | None
    ends_at: datetime
    approval_id: UUID
    approval_url: str
    notice_h: int
    lead_h: int
    paused_until: datetime | None
    retry_d: list[int]
    next_action: NextAction | None


class MandatePage(msgspec.Struct, frozen=True):
    """Some mandates, newest first; ``next`` asks for those after them, null at the end."""

    mandates: list[MandateView]
    next: str | None


class Asking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mandate to ask a payer for, or with your own sign-in to give. Its id is yours: sending it again is harmless.

    account_id: the payer; left out with a sign-in. notice_h: how many hours before each payment it is
    announced; 0: none. retry_d: after how many days from the due one an announced payment that lacked money is tried
    again; left out: 1, 3
    and 5; an empty list: never.
    """

    mandate_id: UUID
    payee_id: Text
    currency: Currency
    each_minor: Minor
    period: Literal["day", "week", "month", "year"]
    period_minor: Minor
    ends_at: Instant
    reference: Text = ""
    notice_h: Hours = 0
    account_id: UUID | None = None
    retry_d: RetryDays | None = None


class Announcing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment to announce. Its id is yours, and becomes the payment's. due_at: when it is taken, by itself.

    due_at: no nearer than the mandate's `lead_h`, 90 days ahead at most. reference: of the payment.
    """

    pull_id: UUID
    minor: Annotated[int, msgspec.Meta(ge=1, le=MINOR_MAX)]
    currency: Currency
    due_at: Instant
    reference: Annotated[str, msgspec.Meta(max_length=mandates_pulls.REFERENCE_MAX)] = ""


class PullView(msgspec.Struct, frozen=True):
    """An announced payment. state: announced, taken, failed, skipped by the payer, or called_off by the payee.

    payment_id: the payment that the next try is, or the last one was; of the first it is pull_id. tries: how many were
    made and lacked money. next_at: when it is tried next; null where it is over. reason: why it failed, or failed last,
    a code with a page at /errors.
    """

    pull_id: UUID
    mandate_id: UUID
    amount: Money
    reference: str
    announced_at: datetime
    due_at: datetime
    state: str
    ended_at: datetime | None
    reason: str
    payment_id: UUID
    tries: int
    next_at: datetime | None


class PullPage(msgspec.Struct, frozen=True):
    """Some announced payments, the latest due first; ``next`` asks for those before them, null at the end."""

    pulls: list[PullView]
    next: str | None


class Lead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many hours before each payment you are told of it; no fewer than you signed."""

    lead_h: Hours


class CodeWalletBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From whose wallet your codes pay: an owner who lets you spend; null: your own."""

    owner_id: UUID | None


GIVING = (
    UnknownApproval, ApprovalEnded, ApprovalExpired, LevelTooLow, WaitsTooLong, NotYours, LimitReached, SpendingFrozen,
    pins.PinWrong, pins.PinLocked, pins.NoPin, identity.CeremonyRefused, identity.ChallengeRefused,
    identity.UnknownPasskey, identity.CounterWentBack, identity.NoPasskey,
)  # fmt: skip


# -- approvals ----------------------------------------------------------------------------------------------


@get("/v1/approvals", sync_to_thread=True, tags=["Approval"], opt=PERSON | {"refuses": ()})
def list_approvals(ctx: NamedDependency[Context], desk: NamedDependency[Desk]) -> ApprovalList:
    """What waits for you to approve it, or cools."""
    session = desk.signed_in()
    with ctx.tx() as tx:
        found = approvals.list_open(tx, session.account_id, ctx.clock.now())
    return ApprovalList([_approval(one, session.account_id) for one in found])


@get(
    "/v1/approvals/{approval_id:uuid}",
    sync_to_thread=True,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownApproval,)},
)
def read_approval(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], approval_id: FromPath[UUID]
) -> ApprovalView:
    """Something that you are asked to approve, and how it stands."""
    session = desk.signed_in()
    with ctx.tx() as tx:
        found, _ = approvals.get_approval(tx, approval_id, session.account_id, ctx.clock.now())
    return _approval(found, session.account_id)


@post(
    "/v1/approvals/{approval_id:uuid}/challenge",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownApproval, ApprovalEnded, ApprovalExpired, identity.NoPasskey)},
)
def begin_approval(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], approval_id: FromPath[UUID]
) -> Challenge:
    """What a passkey has to sign for this approval: its challenge is the SHA-256 of `canonical`."""
    session = desk.signed_in()
    if desk.rp is None:
        raise identity.NoPasskey("Passkeys work at a name over https, or at http://localhost.")
    return Challenge(approvals.begin_passkey(ctx, approval_id, session, desk.rp))


@post(
    "/v1/approvals/{approval_id:uuid}",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": GIVING},
)
def give_approval(
    ctx: NamedDependency[Context],
    desk: NamedDependency[Desk],
    approval_id: FromPath[UUID],
    data: JSONBody[Give],
) -> ApprovalView:
    """Approve it: by your sign-in, your payment PIN, or a passkey that signed it. Good once."""
    session = desk.signed_in()
    if data.method == "passkey":
        if desk.rp is None:
            raise identity.NoPasskey("Passkeys work at a name over https, or at http://localhost.")
        outcome = approvals.give_by_passkey(ctx, approval_id, session, data.credential, desk.rp)
    elif data.method == "pin":
        outcome = approvals.give_by_pin(ctx, approval_id, session, data.pin, desk.pepper())
    else:
        outcome = approvals.give_by_session(ctx, approval_id, session)
    found = outcome.approval
    if outcome.given:
        desk.carry_on(found.kind, found.subject_id)
    return _approval(found, session.account_id)


@post(
    "/v1/approvals/{approval_id:uuid}/refuse",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownApproval, ApprovalEnded)},
)
def refuse_approval(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], approval_id: FromPath[UUID]
) -> ApprovalView:
    """Say no, or call off what cools. Saying it again changes nothing."""
    session = desk.signed_in()
    found = approvals.refuse(ctx, approval_id, session.account_id)
    desk.carry_on(found.kind, found.subject_id)
    return _approval(found, session.account_id)


# -- limits and the freeze ----------------------------------------------------------------------------------


@get("/v1/limits", sync_to_thread=True, tags=["Approval"], opt=PERSON | {"refuses": (InvalidInput,)})
def read_limits(
    ctx: NamedDependency[Context],
    desk: NamedDependency[Desk],
    currency: Annotated[str, QueryParameter(pattern=r"^[A-Z]{3}(,[A-Z]{3}){0,9}$")],
    account_id: WardId = None,
) -> LimitsView:
    """What you, or a ward of yours, may spend of these currencies, and have spent, in your own days and months; what
    your level of proof lets you pay in a year and hold, what is left of that, and which level raises it.
    """
    session = desk.signed_in()
    with ctx.tx() as tx:
        owner, guardian = _own_or_ward(tx, session.account_id, account_id, "limit")
        if guardian is not None:
            identity.saw(tx, owner, f"person:{guardian}", "wallet", "as your guardian", ctx.clock.now())
        return _limits(ctx, tx, owner, currency.split(","), desk)


@put(
    "/v1/limits",
    sync_to_thread=True,
    tags=["Approval"],
    opt=PERSON
    | {
        "refuses": (InvalidInput, identity.VerifyAnew, identity.UnknownAccount, control.GuardianRaises),
    },
)
def set_limit(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], data: JSONBody[NewLimit]
) -> LimitView:
    """Set a limit of yours, or of a ward's. A lower one holds at once; a higher one after a day, and needs your passkey
    just before. While guardians answer for somebody, they alone raise a limit.
    """
    session = desk.signed_in()
    span, minor, scope = data.span, data.minor, data.scope
    with ctx.tx() as tx:
        owner, guardian = _own_or_ward(tx, session.account_id, data.account_id, "limit")
    if control.raises(ctx, owner, currency=data.currency, span=span, minor=minor, scope=scope):
        with ctx.tx() as tx:
            desk.fresh(tx, ctx.clock.now())
    limit = control.set_limit(
        ctx, owner, currency=data.currency, span=span, minor=minor, scope=scope, guardian_id=guardian
    )
    return _limit(limit)


@post(
    "/v1/freeze",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "who": ("session", "key"),
        "refuses": (identity.UnknownAccount, InvalidInput),
    },
)
def freeze(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    data: JSONBody[NewFreeze],
) -> FreezeView:
    """Stop all spending from your wallet or a ward's at once; or as its issuer, from an account's. Again changes
    nothing.
    """
    if caller.account_id is None:
        caller.require("approval:write")
    account_id, by, guardian = _who_stops(ctx, caller, data)
    found = control.freeze(
        ctx, account_id, by=by, reason=data.reason, actor=caller.caller_id, guardian_id=guardian
    )
    return FreezeView(account_id, found.frozen_at, found.frozen_by)


@post(
    "/v1/unfreeze",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "who": ("session", "key"),
        "refuses": (
            identity.UnknownAccount,
            identity.VerifyAnew,
            control.FrozenByIssuer,
            control.FrozenByGuardian,
            InvalidInput,
        ),
    },
)
def unfreeze(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    desk: NamedDependency[Desk],
    data: JSONBody[NewFreeze],
) -> FreezeView:
    """Let spending go on: with your passkey just before, also for a ward; or as the issuer. Again changes nothing."""
    if caller.account_id is None:
        caller.require("approval:write")
    account_id, by, guardian = _who_stops(ctx, caller, data)
    if by != "issuer":
        with ctx.tx() as tx:
            desk.fresh(tx, ctx.clock.now())
    control.unfreeze(ctx, account_id, by=by, reason=data.reason, actor=caller.caller_id, guardian_id=guardian)
    return FreezeView(account_id, None, None)


# -- delegations --------------------------------------------------------------------------------------------


@get(
    "/v1/delegations",
    sync_to_thread=True,
    tags=["Approval"],
    opt={"needs": "approval:read", "who": ("session", "key"), "refuses": (InvalidInput,)},
)
def list_delegations(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")] = "",
    limit: Size = 50,
) -> DelegationList:
    """What you let others spend, and what others let you spend; with a key, what your member asked for.

    The newest first; a page has so many of both together.
    """
    person, member = _with(ctx, caller)
    before, now = read_mark(after), ctx.clock.now()
    with ctx.tx() as tx:
        found = grants.find_delegations(tx, person=person, member=member, before=before, limit=limit + 1)
    page, following = paged(found, limit, lambda one: mark_text(one.granted_at, one.delegation_id))
    mine = [person is None or one.account_id == person[1] for one in page]
    return DelegationList(
        [_delegation(one, now) for one, own in zip(page, mine, strict=True) if own],
        [_delegation(one, now) for one, own in zip(page, mine, strict=True) if not own],
        following,
    )


@get(
    "/v1/delegations/{delegation_id:uuid}",
    sync_to_thread=True,
    tags=["Approval"],
    opt={"needs": "approval:read", "who": ("session", "key"), "refuses": (UnknownDelegation,)},
)
def read_delegation(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], delegation_id: FromPath[UUID]
) -> DelegationView:
    """A delegation that you gave, were given, or with a key asked for, and how it stands."""
    person, member = _with(ctx, caller)
    with ctx.tx() as tx:
        found = grants.find_delegations(tx, person=person, member=member, only=delegation_id)
    if not found:
        raise UnknownDelegation
    return _delegation(found[0], ctx.clock.now())


@post(
    "/v1/delegations",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "who": ("session", "key"),
        "refuses": (identity.UnknownAccount, GrantDiffers, DelegationOverlaps, InvalidInput, TooOften),
    },
)
def ask_delegation(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    data: JSONBody[Granting],
) -> DelegationView:
    """Let another person spend from your wallet, or ask an owner of yours to: it begins a day after they sign it.

    Its owner signs what they are shown, word for word, where `next_action` says. Sending it again is harmless. Who may
    spend for some of the same things already is let so by one delegation at a time: name it in `replaces` to change it.
    """
    owner_id, asked_by = _whose_wallet(ctx, caller, data.owner_id)
    new = NewDelegation(
        delegation_id=data.delegation_id,
        delegate_id=AccountId(data.delegate_id),
        kind=data.kind,
        currency=data.currency,
        payment_minor=data.payment_minor,
        day_minor=data.day_minor,
        month_minor=data.month_minor,
        ends_at=in_utc(data.ends_at, where="ends_at"),
        ask_above_minor=data.ask_above_minor,
        categories=data.categories,
        categories_denied=data.categories_denied,
        payees=data.payees,
        from_hour=data.from_hour,
        to_hour=data.to_hour,
        replaces=data.replaces,
    )
    asked, _ = delegations_asked.ask_delegation(ctx, owner_id, new, asked_by=asked_by)
    return _delegation(asked, ctx.clock.now())


@post(
    "/v1/delegations/{delegation_id:uuid}/revoke",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "who": ("session", "key"),
        "refuses": (UnknownDelegation, ApprovalEnded, identity.UnknownAccount),
    },
)
def revoke_delegation(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    delegation_id: FromPath[UUID],
    data: JSONBody[Revoking],
) -> DelegationView:
    """End a delegation at once, as its owner or its delegate; or with a key, ask for it no more. Again is harmless."""
    if caller.account_id is None:
        caller.require("approval:write")
        owner_id, asked_by = _whose_wallet(ctx, caller, data.owner_id)
        found = delegations_asked.take_back_asking(ctx, delegation_id, asked_by, owner_id)
    else:
        by = AccountId(UUID(caller.account_id))
        found = grants.revoke_delegation(ctx, delegation_id, by, AccountId(data.owner_id))
    return _delegation(found, ctx.clock.now())


# -- mandates -----------------------------------------------------------------------------------------------


@get(
    "/v1/mandates",
    sync_to_thread=True,
    tags=["Approval"],
    opt={"needs": "approval:read", "who": ("session", "key"), "refuses": (InvalidInput,)},
)
def list_mandates(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=40, description="`next` of the page before")] = "",
    limit: Size = 50,
) -> MandatePage:
    """Your mandates: those you gave, or with a key those that your member asked for."""
    if caller.account_id is None:
        caller.require("approval:read")
    payer, member = _side(caller)
    try:
        last = UUID(after) if after else None
    except ValueError as error:
        problem = Problem("after", "it is not the next of a page", "Send it back as it came")
        raise InvalidInput("This page is not known.", problems=(problem,)) from error
    with ctx.tx() as tx:
        found = grants.find_mandates(tx, payer=payer, member=member, after=last, limit=limit + 1)
    page, now = found[:limit], ctx.clock.now()
    following = str(page[-1].mandate_id) if len(found) > limit else None
    return MandatePage([_mandate(one, now) for one in page], following)


@get(
    "/v1/mandates/{mandate_id:uuid}",
    sync_to_thread=True,
    tags=["Approval"],
    opt={"needs": "approval:read", "who": ("session", "key"), "refuses": (UnknownMandate,)},
)
def read_mandate(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], mandate_id: FromPath[UUID]
) -> MandateView:
    """A mandate of yours, and how it stands."""
    if caller.account_id is None:
        caller.require("approval:read")
    payer, member = _side(caller)
    with ctx.tx() as tx:
        return _mandate(grants.get_mandate(tx, mandate_id, payer=payer, member=member), ctx.clock.now())


@post(
    "/v1/mandates",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "who": ("session", "key"),
        "refuses": (PayeeOfAnother, identity.UnknownAccount, GrantDiffers, InvalidInput, TooOften),
    },
)
def ask_mandate(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    desk: NamedDependency[Desk],
    data: JSONBody[Asking],
) -> MandateView:
    """Ask a payer for a mandate to one of your payees, or give one yourself, signed in. It holds once its payer signed.

    What they are shown, where `next_action` says, is what they sign. Sending it again is harmless.
    """
    if caller.account_id is None:
        caller.require("approval:write")
    with ctx.tx() as tx:
        payee_key, payee_name, member_id = desk.payee(tx, data.payee_id)
    own = None if caller.account_id is None else UUID(caller.account_id)
    if own is None:
        if caller.member_id != member_id:
            raise PayeeOfAnother
    elif data.account_id not in (None, own):
        raise identity.UnknownAccount(f"No account {data.account_id} is open here.")
    account_id = own or data.account_id
    if account_id is None:
        problem = Problem("account_id", "it is missing", "Name the payer")
        raise InvalidInput("Say who is asked.", problems=(problem,))
    new = NewMandate(
        mandate_id=data.mandate_id,
        account_id=AccountId(account_id),
        payee_key=payee_key,
        payee_name=payee_name,
        member_id=member_id,
        currency=data.currency,
        each_minor=data.each_minor,
        period=data.period,
        period_minor=data.period_minor,
        ends_at=in_utc(data.ends_at, where="ends_at"),
        reference=data.reference,
        notice_h=data.notice_h,
        retry_d=grants.RETRY_D if data.retry_d is None else data.retry_d,
    )
    return _mandate(grants.ask_mandate(ctx, new, by_payer=own is not None)[0], ctx.clock.now())


@post(
    "/v1/mandates/{mandate_id:uuid}/revoke",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={"needs": "approval:write", "who": ("session", "key"), "refuses": (UnknownMandate,)},
)
def revoke_mandate(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], mandate_id: FromPath[UUID]
) -> MandateView:
    """End a mandate at once, as its payer or as the member who asked for it. Again changes nothing."""
    if caller.account_id is None:
        caller.require("approval:write")
    payer, member = _side(caller)
    found = grants.revoke_mandate(ctx, mandate_id, payer=payer, member=member or "")
    return _mandate(found, ctx.clock.now())


# -- announced payments -------------------------------------------------------------------------------------


@post(
    "/v1/mandates/{mandate_id:uuid}/pulls",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "refuses": (UnknownMandate, MandateEnded, MandateExceeded, GrantDiffers, InvalidInput),
    },
)
def announce_pull(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    mandate_id: FromPath[UUID],
    data: JSONBody[Announcing],
) -> PullView:
    """Announce a payment under a mandate of yours: its payer is told, and it is taken by itself when it is due.

    It is then the payment of the same id, with the events of any. Sending it again is harmless.
    """
    caller.require("approval:write")
    new = mandates_pulls.NewPull(
        pull_id=data.pull_id,
        mandate_id=mandate_id,
        amount=_money(data.minor, data.currency),
        due_at=in_utc(data.due_at, where="due_at"),
        reference=data.reference,
    )
    return _pull(mandates_pulls.announce_pull(ctx, new, member=_member(caller)))


@get(
    "/v1/mandates/{mandate_id:uuid}/pulls",
    sync_to_thread=True,
    tags=["Approval"],
    opt={"needs": "approval:read", "who": ("session", "key"), "refuses": (UnknownMandate, InvalidInput)},
)
def list_pulls(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    mandate_id: FromPath[UUID],
    after: Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")] = "",
    limit: Size = 50,
) -> PullPage:
    """Announced payments of a mandate of yours, the latest due first."""
    if caller.account_id is None:
        caller.require("approval:read")
    payer, member = _side(caller)
    before = read_mark(after)
    with ctx.tx() as tx:
        grants.get_mandate(tx, mandate_id, payer=payer, member=member)
        found = mandates_pulls.list_pulls(tx, mandate_id, before=before, limit=limit + 1)
    page, following = paged(found, limit, lambda one: mark_text(one.due_at, one.pull_id))
    return PullPage([_pull(one) for one in page], following)


@get(
    "/v1/mandates/{mandate_id:uuid}/pulls/{pull_id:uuid}",
    sync_to_thread=True,
    tags=["Approval"],
    opt={
        "needs": "approval:read",
        "who": ("session", "key"),
        "refuses": (UnknownMandate, mandates_pulls.UnknownPull),
    },
)
def read_pull(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    mandate_id: FromPath[UUID],
    pull_id: FromPath[UUID],
) -> PullView:
    """An announced payment of a mandate of yours, and what became of it."""
    if caller.account_id is None:
        caller.require("approval:read")
    payer, member = _side(caller)
    with ctx.tx() as tx:
        grants.get_mandate(tx, mandate_id, payer=payer, member=member)
        found = mandates_pulls.find_pull(tx, mandate_id, pull_id)
    if found is None:
        raise mandates_pulls.UnknownPull
    return _pull(found)


@post(
    "/v1/mandates/{mandate_id:uuid}/pulls/{pull_id:uuid}/skip",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownMandate, mandates_pulls.UnknownPull, mandates_pulls.PullEnded)},
)
def skip_pull(
    ctx: NamedDependency[Context],
    desk: NamedDependency[Desk],
    mandate_id: FromPath[UUID],
    pull_id: FromPath[UUID],
) -> PullView:
    """Have one announced payment not taken; the mandate holds for the others. Again changes nothing."""
    payer = desk.signed_in().account_id
    return _pull(mandates_pulls.skip_pull(ctx, mandate_id, pull_id, payer=payer))


@post(
    "/v1/mandates/{mandate_id:uuid}/pulls/{pull_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt={
        "needs": "approval:write",
        "refuses": (UnknownMandate, mandates_pulls.UnknownPull, mandates_pulls.PullEnded),
    },
)
def call_off_pull(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    mandate_id: FromPath[UUID],
    pull_id: FromPath[UUID],
) -> PullView:
    """Take an announcement of yours back. Again changes nothing."""
    caller.require("approval:write")
    return _pull(mandates_pulls.call_off_pull(ctx, mandate_id, pull_id, member=_member(caller)))


@post(
    "/v1/mandates/{mandate_id:uuid}/pause",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownMandate, MandateEnded)},
)
def pause_mandate(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], mandate_id: FromPath[UUID]
) -> MandateView:
    """Have nothing taken for the rest of this day, week, month or year of a mandate of yours."""
    found = mandates_pulls.pause_mandate(ctx, mandate_id, payer=desk.signed_in().account_id)
    return _mandate(found, ctx.clock.now())


@post(
    "/v1/mandates/{mandate_id:uuid}/resume",
    sync_to_thread=True,
    status_code=200,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownMandate, MandateEnded)},
)
def resume_mandate(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], mandate_id: FromPath[UUID]
) -> MandateView:
    """Have payments under a mandate of yours taken again."""
    found = mandates_pulls.resume_mandate(ctx, mandate_id, payer=desk.signed_in().account_id)
    return _mandate(found, ctx.clock.now())


@put(
    "/v1/mandates/{mandate_id:uuid}/lead",
    sync_to_thread=True,
    tags=["Approval"],
    opt=PERSON | {"refuses": (UnknownMandate, MandateEnded, InvalidInput)},
)
def set_lead(
    ctx: NamedDependency[Context],
    desk: NamedDependency[Desk],
    mandate_id: FromPath[UUID],
    data: JSONBody[Lead],
) -> MandateView:
    """Say how long before each payment under a mandate of yours you are told of it."""
    found = mandates_pulls.set_lead(ctx, mandate_id, data.lead_h, payer=desk.signed_in().account_id)
    return _mandate(found, ctx.clock.now())


# -- codes that pay from another's wallet -------------------------------------------------------------------


@get("/v1/me/code-wallet", sync_to_thread=True, tags=["Approval"], opt=PERSON | {"refuses": ()})
def read_code_wallet(ctx: NamedDependency[Context], desk: NamedDependency[Desk]) -> CodeWalletBody:
    """From whose wallet the codes of your phones pay."""
    me = desk.signed_in().account_id
    with ctx.tx() as tx:
        owner = delegations_used.code_wallet_of(tx, ctx.directory.partition_of(me), me)
    return CodeWalletBody(owner)


@put(
    "/v1/me/code-wallet",
    sync_to_thread=True,
    tags=["Approval"],
    opt=PERSON | {"refuses": (NotDelegated, identity.UnknownAccount)},
)
def set_code_wallet(
    ctx: NamedDependency[Context], desk: NamedDependency[Desk], data: JSONBody[CodeWalletBody]
) -> CodeWalletBody:
    """Have your codes pay from the wallet of an owner who lets you spend, or from your own again."""
    owner = None if data.owner_id is None else AccountId(data.owner_id)
    delegations_used.set_code_wallet(ctx, desk.signed_in().account_id, owner)
    return data


# -- shared -------------------------------------------------------------------------------------------------


def _side(caller: trust.Caller) -> tuple[AccountId | None, str | None]:
    """The payer who asks, or the member. Errors: trust.NotAllowed."""
    if caller.account_id is not None:
        return AccountId(UUID(caller.account_id)), None
    if caller.member_id is None:
        raise trust.NotAllowed("Mandates are their payers’ and their payees’.")
    return None, caller.member_id


def _member(caller: trust.Caller) -> str:
    """The member whose key this is. Errors: trust.NotAllowed."""
    if caller.member_id is None:
        raise trust.NotAllowed("Payments are announced by the member who asked for the mandate.")
    return caller.member_id


def _money(minor: int, currency: str) -> Money:
    """Errors: InvalidInput for a currency that is none."""
    if currency not in CURRENCY_EXPONENTS:
        problem = Problem("currency", f"{currency!r} is none", "Use a code of ISO 4217")
        raise InvalidInput("There is no such currency.", problems=(problem,))
    return Money(minor, currency)


def _with(ctx: Context, caller: trust.Caller) -> tuple[tuple[int, AccountId] | None, str]:
    """Whose delegations are meant: a person's, by partition and account, or those that a member asked for.

    Errors: trust.NotAllowed.
    """
    if caller.account_id is None:
        caller.require("approval:read")
        return None, caller.member_id or audit.LEAGUE
    account_id = AccountId(UUID(caller.account_id))
    return (ctx.directory.partition_of(account_id), account_id), ""


def _whose_wallet(ctx: Context, caller: trust.Caller, owner_id: UUID | None) -> tuple[AccountId, str]:
    """Whose wallet is meant, and the member who asks, empty for its owner. Errors: as `_whose`; trust.NotAllowed."""
    if caller.account_id is None:
        caller.require("approval:write")
    asked = NewFreeze(account_id=owner_id)
    account_id, by = _whose(ctx, caller, asked, where="owner_id")
    return account_id, "" if by == "owner" else caller.member_id or audit.LEAGUE


def _own_or_ward(
    tx: Tx, me: AccountId, account_id: UUID | None, right: identity.Right
) -> tuple[AccountId, AccountId | None]:
    """Whose account is meant, and the guardian where it is a ward's. Errors: identity.UnknownAccount for others'."""
    if account_id is None or account_id == me:
        return me, None
    if not identity.guardian_may(tx, me, AccountId(account_id), right):
        raise identity.UnknownAccount(f"No account {account_id} is open here.")
    return AccountId(account_id), me


def _who_stops(
    ctx: Context, caller: trust.Caller, data: NewFreeze
) -> tuple[AccountId, control.By, AccountId | None]:
    """Whose spending is stopped, who says so, and the guardian who does. Errors: as `_whose`."""
    if caller.account_id is None:
        return *_whose(ctx, caller, data), None
    with ctx.tx() as tx:
        me = AccountId(UUID(caller.account_id))
        account_id, guardian = _own_or_ward(tx, me, data.account_id, "freeze")
    return account_id, "owner" if guardian is None else "guardian", guardian


def _whose(
    ctx: Context, caller: trust.Caller, data: NewFreeze, *, where: str = "account_id"
) -> tuple[AccountId, Literal["owner", "issuer"]]:
    """Whose spending is meant, and who says so. Errors: identity.UnknownAccount, also where it is not the caller's."""
    if caller.account_id is not None:
        own = UUID(caller.account_id)
        if data.account_id not in (None, own):
            raise identity.UnknownAccount(f"No account {data.account_id} is open here.")
        return AccountId(own), "owner"
    if data.account_id is None:
        problem = Problem(where, "it is missing", "Name one of your accounts")
        raise InvalidInput("Say whose spending is meant.", problems=(problem,))
    with ctx.tx() as tx:
        account = identity.get_account(tx, AccountId(data.account_id))
    if caller.kind != "league" and caller.member_id != account.issuer_id:
        raise identity.UnknownAccount(f"No account {data.account_id} is open here.")
    return account.account_id, "issuer"


def _approval(one: Approval, person_id: AccountId) -> ApprovalView:
    shown = one.shown
    return ApprovalView(
        approval_id=one.approval_id,
        kind=one.kind,
        subject_id=one.subject_id,
        account_id=one.account_id,
        state=one.phase,
        level=one.level.word,
        reasons=list(one.reasons),
        amount=shown.amount,
        payee_name=shown.payee_name,
        payee_key=shown.payee_key,
        about=shown.about,
        opened_at=one.opened_at,
        expires_at=one.expires_at,
        executes_at=one.executes_at,
        as_second=one.approver_id != person_id,
        canonical=one.canonical.decode(),
        next_url=one.next_url,
    )


PROVED_AT = {
    identity.ProofLevel.CONTACT: "/wallet/me/contacts",
    identity.ProofLevel.NAME: "/wallet/me/name",
    identity.ProofLevel.DOCUMENT: "/wallet/me/name",
}


def _limits(ctx: Context, tx: Tx, account_id: AccountId, currencies: list[str], desk: Desk) -> LimitsView:
    partition = ctx.directory.partition_of(account_id)
    frozen = control.find_freeze(tx, partition, account_id)
    issuer_id = identity.get_account(tx, account_id).issuer_id
    level = identity.proof_levels(tx, [account_id])[account_id]
    seen = control.view_spending(ctx, tx, account_id, currencies)
    wallets = {one.currency: desk.wallet(account_id, one.currency) for one in seen if one.balance is not None}
    held = held_in(tx, partition, account_id, wallets)
    views = [
        CurrencyView(
            one.currency,
            *one.ceilings,
            one.spent_day,
            one.spent_month,
            one.recovered,
            [_limit(limit) for limit in one.limits],
            _cap(one.year, one.spent_year.minor),
            _cap(one.balance, held.get(one.currency, 0)),
            _above(issuer_id, level, one),
        )
        for one in seen
    ]
    since, by = (None, None) if frozen is None else (frozen.frozen_at, frozen.frozen_by)
    return LimitsView(level.name.lower(), views, since, by)


def _cap(most: Money | None, used_minor: int) -> LevelCap | None:
    if most is None:
        return None
    used = Money(used_minor, most.currency)
    return LevelCap(most, used, Money(max(0, most.minor - used.minor), most.currency))


def _above(issuer_id: str, level: identity.ProofLevel, one: control.SpendingView) -> list[LevelAbove]:
    """The levels above that raise what may be paid in a year or held, beyond the level before."""
    found: list[LevelAbove] = []
    before = (one.year, one.balance)
    for higher in identity.ProofLevel:
        if higher <= level:
            continue
        year, balance = (
            None if cap is None else Money(cap, one.currency)
            for cap in (
                identity.year_cap(issuer_id, int(higher), one.currency),
                identity.balance_cap(issuer_id, int(higher), one.currency),
            )
        )
        if (year, balance) != before:
            found.append(LevelAbove(higher.name.lower(), year, balance, PROVED_AT[higher]))
            before = (year, balance)
    return found


def _limit(one: Limit) -> LimitView:
    return LimitView(one.currency, one.scope, one.span, one.minor, one.next_minor, one.next_at)


def _delegation(one: Delegation, now: datetime) -> DelegationView:
    return DelegationView(
        one.delegation_id,
        one.account_id,
        one.delegate_id,
        one.kind,
        one.state(now),
        one.payment,
        one.day,
        one.month,
        one.ask_above,
        list(one.categories),
        list(one.categories_denied),
        list(one.payees),
        one.from_hour,
        one.to_hour,
        one.holds_from,
        one.ends_at,
        one.asked_by,
        _to_sign(one.state(now), delegations_asked.approval_of_delegation(one)),
        one.replaces,
        one.replaced_at,
    )


def _mandate(one: Mandate, now: datetime) -> MandateView:
    approval_id = grants.approval_of(one)
    return MandateView(
        one.mandate_id,
        one.account_id,
        one.payee_key,
        one.payee_name,
        one.reference,
        one.state(now),
        one.each,
        one.period,
        one.in_period,
        one.asked_at,
        one.holds_from,
        one.ends_at,
        approval_id,
        f"/wallet/approvals/{approval_id}",
        one.notice_h,
        one.lead_h,
        one.paused_until if one.is_paused(now) else None,
        list(one.retry_d),
        _to_sign(one.state(now), approval_id),
    )


def _to_sign(state: str, approval_id: UUID) -> NextAction | None:
    """What has to happen to a standing approval that stands so."""
    return NextAction("approve", f"/wallet/approvals/{approval_id}") if state == "asked" else None


def _pull(one: Pull) -> PullView:
    return PullView(
        one.pull_id,
        one.mandate_id,
        one.amount,
        one.reference,
        one.announced_at,
        one.due_at,
        one.state,
        one.ended_at,
        one.reason,
        one.payment_id,
        one.tries,
        one.next_at if one.state == "announced" else None,
    )


ROUTES = [
    list_approvals, read_approval, begin_approval, give_approval, refuse_approval, read_limits, set_limit, freeze,
    unfreeze, list_delegations, read_delegation, ask_delegation, revoke_delegation, list_mandates, read_mandate,
    ask_mandate, revoke_mandate, announce_pull, list_pulls, read_pull, skip_pull, call_off_pull, pause_mandate,
    resume_mandate, set_lead, read_code_wallet, set_code_wallet,
]  # fmt: skip
