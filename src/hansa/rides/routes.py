"""HTTP for rides: gates hand in taps, issuers tell of tokens; and the routes of journeys and of fares with them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from hansa import identity, trust
from hansa.fares import RiderClass
from hansa.kernel import InvalidInput, Money, UnknownCurrency, in_utc
from hansa.rides import actions, fare_routes, held_routes, journey_routes, pass_routes, tariff_routes
from hansa.rides.answering import of_our_time
from hansa.rides.model import (
    REFUSED_CODES_MAX,
    CityFlow,
    Refusals,
    RefusedCode,
    Tap,
    TapBatchTooLarge,
    TapsBusy,
    Token,
    TokenConflict,
)
from hansa.rides.tokens import register_tokens as keep_tokens
from hansa.store import Context, Tx

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)]
Companion = Annotated[int, msgspec.Meta(ge=0, le=15)]

LIST_MAX = 20_000
"""Longer lists do not even fit the schema; from 5,001 taps on, ``rides.batch_too_large`` says what to do."""


def _hex(octets: int) -> msgspec.Meta:
    return msgspec.Meta(pattern=rf"^[0-9a-f]{{{2 * octets}}}$")


class TapBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One accepted code, as the gate library writes it: hex for bytes, RFC 3339 instants.

    companion: 0 for the token's holder, 1 to 15 for who rides along.
    """

    tap_id: UUID
    gate_id: Name
    sequence: Annotated[int, msgspec.Meta(ge=1, le=9_007_199_254_740_991)]
    action: Literal["entry", "exit", "board"]
    stop_id: Name | None
    tapped_at: Instant
    cti: Annotated[str, _hex(8)]
    counter: Count
    kid: Annotated[str, _hex(4)]
    made_at: Instant
    list_version: Count
    chain: Annotated[str, _hex(32)]
    companion: Companion = 0


class TapBatch(msgspec.Struct, frozen=True):
    """Taps in any order, at most 5,000."""

    taps: Annotated[list[TapBody], msgspec.Meta(max_length=LIST_MAX)]


class Refused(msgspec.Struct, frozen=True):
    """A tap that was not taken. index: its place in the batch, from 0."""

    index: int
    code: str
    detail: str


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch."""

    recorded: int
    duplicates: int
    refused: list[Refused]


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a ride token stands for."""

    cti: Annotated[str, _hex(8)]
    account_id: UUID
    issuer_id: Name
    wallet_currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    rider_class: RiderClass
    expires_at: Instant


class TokenBatch(msgspec.Struct, frozen=True):
    """Tokens of one issuer."""

    tokens: Annotated[list[TokenBody], msgspec.Meta(max_length=5_000)]


class RefusalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a gate refused for one reason in one minute."""

    gate_id: Name
    minute: Instant
    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,40}$")]
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class RefusalBatch(msgspec.Struct, frozen=True):
    """Counts of refusals, at most 5,000."""

    refusals: Annotated[list[RefusalBody], msgspec.Meta(max_length=5_000)]


class RefusedCodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code with good signatures that a gate refused: what it says, when the gate refused it, and why."""

    gate_id: Name
    at: Instant
    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,40}$")]
    kid: Annotated[str, _hex(4)]
    cti: Annotated[str, _hex(8)]
    companion: Companion
    counter: Count
    made_at: Instant


class RefusedCodeBatch(msgspec.Struct, frozen=True):
    """Refused codes, 1 to 1,000."""

    codes: Annotated[list[RefusedCodeBody], msgspec.Meta(min_length=1, max_length=REFUSED_CODES_MAX)]


class RefusedCodesTaken(msgspec.Struct, frozen=True):
    """How many refused codes are new, and how many were known."""

    recorded: int
    duplicates: int


class Taken(msgspec.Struct, frozen=True):
    """How many were taken, those known before among them."""

    taken: int


class SlotView(msgspec.Struct, frozen=True):
    """Five minutes. minute: local minutes since the midnight before the service day began."""

    minute: int
    entries: int
    exits: int
    boardings: int
    refusals: int


class CityFlowView(msgspec.Struct, frozen=True):
    """One operator's day in numbers; stops and lines by taps that began there."""

    city_id: str
    operator_id: str
    taps: int
    journeys: int
    riders: int
    incomplete: int
    held: int
    fares: Money
    slots: list[SlotView]
    refusals: dict[str, int]
    stops: dict[str, int]
    lines: dict[str, int]


class FlowView(msgspec.Struct, frozen=True):
    """A service day of the league."""

    day: date
    cities: list[CityFlowView]


@post(
    "/v1/taps",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "taps:write", "refuses": (TapBatchTooLarge, TapsBusy, InvalidInput)},
)
def record_taps(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[TapBatch]
) -> Receipt:
    """Hand in taps of your own gates. Sending a batch again is harmless. Needs `taps:write`.

    A gate's own key hands in the taps of that gate only. A tap that may not be kept is refused by its place in the
    batch and holds up no other: `rides.unknown_gate`, `rides.unknown_token`, `rides.tap_from_future`,
    `rides.tap_too_old`, `rides.wrong_action`, `rides.wrong_stop`, `rides.token_expired`, `rides.tap_conflict`. More
    than 5,000 taps: `rides.batch_too_large`, nothing kept. `rides.busy`: nothing kept, hand the batch in again.
    """
    operator_id = speaks_for(caller, "taps:write")
    taps = [
        Tap(
            tap_id=tap.tap_id,
            gate_id=tap.gate_id,
            sequence=tap.sequence,
            action=tap.action,
            stop_id=tap.stop_id,
            tapped_at=in_utc(tap.tapped_at, where=f"taps[{index}].tapped_at"),
            cti=bytes.fromhex(tap.cti),
            counter=tap.counter,
            kid=bytes.fromhex(tap.kid),
            made_at=in_utc(tap.made_at, where=f"taps[{index}].made_at"),
            list_version=tap.list_version,
            chain=bytes.fromhex(tap.chain),
            companion=tap.companion,
        )
        for index, tap in enumerate(data.taps)
    ]
    receipt = actions.record_taps(ctx, caller.gate_id, taps, operator_id=operator_id)
    refused = [Refused(one.index, one.code, one.detail) for one in receipt.refused]
    return Receipt(receipt.recorded, receipt.duplicates, refused)


@post(
    "/v1/tokens",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "needs": "tokens:write",
        "refuses": (TokenConflict, identity.UnknownAccount, UnknownCurrency, InvalidInput),
    },
)
def register_tokens(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[TokenBatch]
) -> Taken:
    """Tell whom ride tokens stand for; yours, as their issuer. Again is harmless. Needs `tokens:write`.

    `rides.token_conflict` when a token id is known with anything else, `identity.unknown_account` when it would stand
    for no account of its issuer, `money.unknown_currency`; nothing is kept then.
    """
    issuer_id = speaks_for(caller, "tokens:write")
    for token in data.tokens:
        if issuer_id is not None and token.issuer_id != issuer_id:
            raise trust.NotAllowed(f"{issuer_id} does not speak for {token.issuer_id}.")
    tokens = [
        Token(
            bytes.fromhex(one.cti),
            one.account_id,
            one.issuer_id,
            one.wallet_currency,
            one.rider_class,
            in_utc(one.expires_at, where=f"tokens[{index}].expires_at"),
        )
        for index, one in enumerate(data.tokens)
    ]
    with ctx.tx() as tx:
        _check_accounts(tx, tokens)
        keep_tokens(tx, tokens)
    return Taken(len(tokens))


@post(
    "/v1/refusals",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "taps:write", "refuses": (trust.UnknownGate, InvalidInput)},
)
def record_refusals(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[RefusalBatch]
) -> Taken:
    """Tell how often your gates refused, by minute and reason. Again is harmless. Needs `taps:write`.

    A gate's own key tells of that gate only.
    """
    operator_id = speaks_for(caller, "taps:write")
    refusals = [
        Refusals(
            one.gate_id, of_our_time(one.minute, where=f"refusals[{index}].minute"), one.reason, one.count
        )
        for index, one in enumerate(data.refusals)
    ]
    with ctx.tx() as tx:
        gates = trust.find_gates(tx, {one.gate_id for one in refusals})
        for gate in gates.values():
            if operator_id is not None and gate.operator_id != operator_id:
                raise trust.UnknownGate(f"{operator_id} has no gate {gate.gate_id!r}.")
            if caller.gate_id is not None and gate.gate_id != caller.gate_id:
                raise trust.UnknownGate(f"{caller.gate_id} does not speak for {gate.gate_id!r}.")
        actions.record_refusals(tx, refusals)
    return Taken(len(refusals))


@post(
    "/v1/refused-codes",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "taps:write", "refuses": (trust.UnknownGate, InvalidInput)},
)
def record_refused_codes(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[RefusedCodeBatch]
) -> RefusedCodesTaken:
    """Tell of codes that your gates refused although both signatures were good. Again is harmless. Needs `taps:write`.

    Only such codes: what nobody signed is nobody's, and is only counted (`/v1/refusals`). They are what the rules of
    risk look at. A gate's own key tells of that gate only.
    """
    operator_id = speaks_for(caller, "taps:write")
    codes = [
        RefusedCode(
            one.gate_id,
            of_our_time(one.at, where=f"codes[{index}].at"),
            one.reason,
            bytes.fromhex(one.kid),
            bytes.fromhex(one.cti),
            one.companion,
            one.counter,
            of_our_time(one.made_at, where=f"codes[{index}].made_at"),
        )
        for index, one in enumerate(data.codes)
    ]
    receipt = actions.record_refused_codes(ctx, caller.gate_id, codes, operator_id=operator_id)
    return RefusedCodesTaken(receipt.recorded, receipt.duplicates)


@get("/v1/flow/{day:date}", sync_to_thread=True, tags=["Rides"], opt={"needs": "league:read"})
def get_flow(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> FlowView:
    """A service day of the league in five-minute counts. Needs `league:read`."""
    caller.require("league:read")
    with ctx.tx() as tx:
        flow = actions.flow(tx, day)
    return FlowView(flow.day, [_city_flow(one) for one in flow.cities])


ROUTES = [
    record_taps,
    register_tokens,
    record_refusals,
    record_refused_codes,
    *journey_routes.ROUTES,
    *fare_routes.ROUTES,
    *tariff_routes.ROUTES,
    *pass_routes.ROUTES,
    *held_routes.ROUTES,
    get_flow,
]


def speaks_for(caller: trust.Caller, scope: str) -> str | None:
    """The member a caller hands in for; None for the league, which may for all."""
    caller.require(scope)
    if caller.kind == "league":
        return None
    if caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _check_accounts(tx: Tx, tokens: Collection[Token]) -> None:
    """Errors: identity.UnknownAccount when a token would stand for no account, or for another issuer's."""
    wanted = {identity.AccountId(token.account_id) for token in tokens}
    accounts = identity.find_accounts(tx, sorted(wanted))
    for token in tokens:
        account = accounts.get(identity.AccountId(token.account_id))
        if account is None or account.issuer_id != token.issuer_id:
            raise identity.UnknownAccount(f"{token.issuer_id} has no account {token.account_id}.")


def _city_flow(one: CityFlow) -> CityFlowView:
    return CityFlowView(
        city_id=one.city_id,
        operator_id=one.operator_id,
        taps=one.taps,
        journeys=one.journeys,
        riders=one.riders,
        incomplete=one.incomplete,
        held=one.held,
        fares=one.fares,
        slots=[
            SlotView(slot.minute, slot.entries, slot.exits, slot.boardings, slot.refusals)
            for slot in one.slots
        ],
        refusals=dict(one.refusals),
        stops=dict(one.stops),
        lines=dict(one.lines),
    )
