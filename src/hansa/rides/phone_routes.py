"""HTTP for phones: a rider connects them, gets their tokens, and reports them lost (docs/phones.md)."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from hansa import identity, trust
from hansa.kernel import InvalidInput
from hansa.rides import tokens
from hansa.rides.token_policy import own_token_policy
from hansa.rides.tokens import IssuerKeys, NoIssuerKey, TooManyTokens
from hansa.store import Context, Tx

Signed = Annotated[
    str,
    HeaderParameter(
        name="DPoP",
        max_length=identity.PROOF_MAX,
        description="The phone's proof of its key (RFC 9449 section 4.2), over a number of `POST /v1/me/nonces`",
    ),
]
PhoneName = Annotated[str, msgspec.Meta(min_length=1, max_length=identity.NAME_MAX)]
Asking = Request[Any, Any, Any]


class NonceGiven(msgspec.Struct, frozen=True):
    """A number for a phone to sign, once. now: our clock, for the phone to correct its own by."""

    nonce: str
    expires_at: datetime
    now: datetime


class PhoneNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the rider calls the phone."""

    name: PhoneName


class PhoneView(msgspec.Struct, frozen=True):
    """A phone of yours. status: active, lost or removed; ended_at: since when it is not active.

    live_tokens: how many of its tokens gates take now or on a day to come. A phone that has another number asks.
    """

    phone_id: UUID
    name: str
    status: str
    enrolled_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    live_tokens: int


class StandingView(msgspec.Struct, frozen=True):
    """How far your account is trusted: clear, step_up (sign in anew and connect the phone anew), or blocked."""

    level: str
    since: datetime


class PhoneList(msgspec.Struct, frozen=True):
    """Your phones, the newest first. phones_max: how many may be active at once."""

    phones: list[PhoneView]
    phones_max: int
    standing: StandingView
    now: datetime


class PhoneConnected(msgspec.Struct, frozen=True):
    """The phone. replaced: phones whose place it took. step_up_cleared: your account is trusted again."""

    phone: PhoneView
    replaced: list[UUID]
    step_up_cleared: bool
    now: datetime


class PhoneGone(msgspec.Struct, frozen=True):
    """The phone, and how many of its tokens were ended just now: online gates refuse them within a minute."""

    phone: PhoneView
    tokens_ended: int


class TokensHeld(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ids (cti, hex) of the tokens that the phone has; none when it has lost them."""

    hold: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]], msgspec.Meta(max_length=64)
    ] = []


class TokenView(msgspec.Struct, frozen=True):
    """A ride token. token: its bytes in base64. begins_at: gates take it from then, until expires_at."""

    token: str
    cti: str
    begins_at: datetime
    expires_at: datetime
    offline_cap: int
    companions: int


class TokensGiven(msgspec.Struct, frozen=True):
    """New tokens, in order. drop: ids of tokens the phone has that are good no more. ask_again_at: for more."""

    tokens: list[TokenView]
    drop: list[str]
    ask_again_at: datetime
    standing: StandingView
    policy_version: int
    now: datetime


@post(
    "/v1/me/nonces",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn, identity.UnknownAccount)},
)
def give_nonce(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], request: Asking
) -> NonceGiven:
    """A number for your phone to sign. It is good once, for two minutes, and for your account only."""
    account_id = _person(caller)
    now, policy = ctx.clock.now(), identity.own_phone_policy()
    secret = identity.secret_in(request.cookies, secure=request.url.scheme == "https")
    with ctx.tx() as tx:
        nonce, expires_at = identity.give_nonce(tx, account_id, secret, at=now, policy=policy)
    return NonceGiven(nonce, expires_at, now)


@get("/v1/me/phones", sync_to_thread=True, tags=["Rides"], opt={"who": ("session",)})
def list_phones(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> PhoneList:
    """Your phones, those that were lost or removed too, and how far your account is trusted."""
    account_id = _person(caller)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        return PhoneList(
            _phones(tx, identity.list_phones(tx, account_id), now),
            identity.own_phone_policy().phones_max,
            _standing(tx, account_id),
            now,
        )


@post(
    "/v1/me/phones",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "who": ("session",),
        "refuses": (
            InvalidInput,
            identity.ProofRefused,
            identity.NonceRefused,
            identity.SignInAnew,
            identity.AccountBlocked,
            identity.PhoneKeyTaken,
            identity.TooManyPhones,
        ),
    },
)
def connect_phone(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request: Asking,
    signed: Signed,
    data: JSONBody[PhoneNamed],
) -> PhoneConnected:
    """Connect the phone that made this proof, within 15 minutes of signing in. Again with the same key is harmless.

    An account that must step up is trusted again by it: its phones from before are removed, their tokens end.
    """
    account_id = _person(caller)
    now, policy = ctx.clock.now(), identity.own_phone_policy()
    proof = _proof(request, signed, now)
    with ctx.tx() as tx:
        done = identity.enrol_phone(tx, account_id, proof, name=data.name, at=now, policy=policy)
        if done.cleared:
            tokens.end_tokens(tx, account_id=account_id, at=now, reason="step_up")
        (phone,) = _phones(tx, [done.phone], now)
    return PhoneConnected(phone, [one.phone_id for one in done.ended], done.cleared, now)


@patch(
    "/v1/me/phones/{phone_id:uuid}",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"who": ("session",), "refuses": (identity.UnknownPhone, InvalidInput)},
)
def name_phone(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    phone_id: FromPath[UUID],
    data: JSONBody[PhoneNamed],
) -> PhoneView:
    """Give your phone another name."""
    account_id = _person(caller)
    with ctx.tx() as tx:
        named = identity.name_phone(tx, account_id, phone_id, data.name)
        (phone,) = _phones(tx, [named], ctx.clock.now())
    return phone


@post(
    "/v1/me/phones/{phone_id:uuid}/lost",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"who": ("session",), "refuses": (identity.UnknownPhone,)},
)
def lose_phone(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], phone_id: FromPath[UUID]
) -> PhoneGone:
    """Report your phone lost. Its tokens, those for days to come too, stand on the deny list at once.

    Whoever is signed in on it is so no more. Again is harmless.
    """
    return _end(ctx, _person(caller), phone_id, "lost")


@delete(
    "/v1/me/phones/{phone_id:uuid}",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"who": ("session",), "refuses": (identity.UnknownPhone,)},
)
def remove_phone(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], phone_id: FromPath[UUID]
) -> PhoneGone:
    """Remove your phone: one that is given away, or that you use no more. Its tokens end. Again is harmless."""
    return _end(ctx, _person(caller), phone_id, "removed")


@post(
    "/v1/me/phones/{phone_id:uuid}/tokens",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "who": ("session",),
        "refuses": (
            identity.UnknownPhone,
            identity.PhoneEnded,
            identity.ProofRefused,
            identity.NonceRefused,
            identity.AccountBlocked,
            NoIssuerKey,
            TooManyTokens,
            trust.MemberMayNot,
        ),
    },
)
def give_tokens(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request: Asking,
    token_signer: NamedDependency[IssuerKeys],
    phone_id: FromPath[UUID],
    signed: Signed,
    data: JSONBody[TokensHeld],
) -> TokensGiven:
    """The ride tokens that your phone still lacks: one for now, and some for the days after, as your standing allows.

    Only the phone's own key can ask. A live token that the phone says it has not is ended and replaced.
    """
    account_id = _person(caller)
    now = ctx.clock.now()
    proof = _proof(request, signed, now)
    hold = {bytes.fromhex(cti) for cti in data.hold}
    with ctx.tx() as tx:
        phone = identity.prove_phone(tx, account_id, phone_id, proof, at=now)
        given = tokens.give_tokens(tx, token_signer, phone, hold=hold, at=now, policy=own_token_policy())
        standing = _standing(tx, account_id)
    return TokensGiven(
        [
            TokenView(
                base64.b64encode(one.data).decode(),
                one.cti.hex(),
                one.begins_at,
                one.expires_at,
                one.offline_cap,
                one.companions,
            )
            for one in given.tokens
        ],
        [cti.hex() for cti in given.drop],
        given.ask_again_at,
        standing,
        given.policy_version,
        now,
    )


ROUTES = [give_nonce, list_phones, connect_phone, name_phone, lose_phone, remove_phone, give_tokens]


def _person(caller: trust.Caller) -> identity.AccountId:
    """The account that is signed in. Errors: trust.NotSignedIn."""
    if caller.account_id is None:
        raise trust.NotSignedIn
    return identity.AccountId(UUID(caller.account_id))


def _proof(request: Asking, signed: str, now: datetime) -> identity.Proof:
    asked = identity.Asked(request.method, request.headers.get("host", ""), request.url.path)
    return identity.read_proof(signed, asked, now=now, clock_s=identity.own_phone_policy().clock_s)


def _end(
    ctx: Context, account_id: identity.AccountId, phone_id: UUID, status: identity.PhoneStatus
) -> PhoneGone:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        gone, ended = tokens.end_phone(tx, account_id, phone_id, status, at=now)
        (phone,) = _phones(tx, [gone], now)
    return PhoneGone(phone, ended)


def _phones(tx: Tx, phones: Sequence[identity.Phone], now: datetime) -> list[PhoneView]:
    live = tokens.count_live(tx, [one.phone_id for one in phones], now)
    return [
        PhoneView(
            one.phone_id,
            one.name,
            one.status,
            one.enrolled_at,
            one.last_seen_at,
            one.ended_at,
            live.get(one.phone_id, 0),
        )
        for one in phones
    ]


def _standing(tx: Tx, account_id: identity.AccountId) -> StandingView:
    standing = identity.standing_of(tx, account_id)
    return StandingView(standing.level, standing.since)
