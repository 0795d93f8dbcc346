"""HTTP for rides: gates hand in taps, issuers tell of tokens, riders and clerks look at journeys and fares."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from hansa import identity, trust
from hansa.fares import JourneyId, RiderClass, Step
from hansa.kernel import InvalidInput, Money, Problem, UnknownCurrency, in_utc
from hansa.rides import actions
from hansa.rides.model import (
    REFUSED_CODES_MAX,
    CityFlow,
    JourneyDetail,
    JourneyRecord,
    Refusals,
    RefusedCode,
    Tap,
    TapBatchTooLarge,
    TapsBusy,
    Token,
    TokenConflict,
    UnknownJourney,
    UnknownTariff,
)
from hansa.rides.tokens import register_tokens as keep_tokens
from hansa.store import Context, Tx

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)]
Companion = Annotated[int, msgspec.Meta(ge=0, le=15)]
AskedName = Annotated[str, QueryParameter(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
AskedPart = Annotated[str, PathParameter(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]

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


class StepView(msgspec.Struct, frozen=True):
    """One line of a fare's explanation; the amounts add up to the fare."""

    rule: str
    text: str
    amount: Money
    facts: dict[str, str | int]


class JourneyView(msgspec.Struct, frozen=True):
    """A journey with its fare. status: ``held`` when the tariff has no answer yet; nothing is charged then.

    companion: 0 when the token's holder rode, 1 to 15 for who rode along on the holder's account.
    """

    journey_id: UUID
    account_id: UUID
    issuer_id: str
    operator_id: str
    city_id: str
    service_day: date
    kind: str
    product: str
    rider_class: str
    started_at: datetime
    ended_at: datetime
    origin: str | None
    destination: str | None
    line_id: str | None
    status: str
    fare: Money
    steps: list[StepView]
    tariff_valid_from: date
    companion: int


class JourneyPage(msgspec.Struct, frozen=True):
    """Some journeys, latest first; ``next`` asks for those before them, null at the end."""

    journeys: list[JourneyView]
    next: str | None


class TapView(msgspec.Struct, frozen=True):
    """A tap of a journey."""

    tap_id: UUID
    gate_id: str
    sequence: int
    action: str
    stop_id: str | None
    tapped_at: datetime
    list_version: int
    chain: str
    companion: int


class ChargeView(msgspec.Struct, frozen=True):
    """A posting of a journey; revision 0 is the first fare, later ones correct it."""

    charge_id: UUID
    revision: int
    status: str
    amount: Money
    wallet_amount: Money | None
    on_risk: bool
    transfer_ids: list[UUID]
    made_at: datetime
    posted_at: datetime | None


class JourneyDetailView(msgspec.Struct, frozen=True):
    """A journey down to its taps and up to its postings."""

    journey: JourneyView
    taps: list[TapView]
    charges: list[ChargeView]


class TariffView(msgspec.Struct, frozen=True):
    """A version of a tariff. valid_to: inclusive; null until the next one."""

    operator_id: str
    city_id: str
    name: str
    currency: str
    valid_from: date
    valid_to: date | None
    digest: str


class Tariffs(msgspec.Struct, frozen=True):
    """All versions of all tariffs."""

    tariffs: list[TariffView]


class TariffText(msgspec.Struct, frozen=True):
    """A tariff as it was written (docs/tariffs)."""

    operator_id: str
    valid_from: date
    toml: str
    tables: dict[str, str]


class QuoteView(msgspec.Struct, frozen=True):
    """What a single journey costs, before caps and monthly tiers."""

    fare: Money
    steps: list[StepView]


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
            one.gate_id, _of_our_time(one.minute, where=f"refusals[{index}].minute"), one.reason, one.count
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
            _of_our_time(one.at, where=f"codes[{index}].at"),
            one.reason,
            bytes.fromhex(one.kid),
            bytes.fromhex(one.cti),
            one.companion,
            one.counter,
            _of_our_time(one.made_at, where=f"codes[{index}].made_at"),
        )
        for index, one in enumerate(data.codes)
    ]
    receipt = actions.record_refused_codes(ctx, caller.gate_id, codes, operator_id=operator_id)
    return RefusedCodesTaken(receipt.recorded, receipt.duplicates)


@get(
    "/v1/journeys",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"who": ("key", "session"), "refuses": (trust.NotAllowed, InvalidInput)},
)
def list_journeys(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account: FromQuery[UUID | None] = None,
    after: Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")] = "",
    limit: Limit = 50,
) -> JourneyPage:
    """A rider's journeys, latest first: your own when signed in, or with `league:read` those of the `account` named.

    `trust.not_allowed` for a key that names no `account` or may not read it.
    """
    account_id = _account_of(caller, account)
    cursor = _read_cursor(after) if after else None
    with ctx.tx() as tx:
        found = actions.journeys(tx, account_id, after=cursor, limit=limit + 1)
    page = found[:limit]
    more = f"{page[-1].started_at.isoformat()}~{page[-1].journey_id}" if len(found) > limit else None
    return JourneyPage([_journey(one) for one in page], more)


@get(
    "/v1/journeys/{journey_id:uuid}",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"who": ("key", "session"), "refuses": (UnknownJourney,)},
)
def get_journey(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], journey_id: FromPath[UUID]
) -> JourneyDetailView:
    """A journey down to its taps and up to its postings: for its rider, issuer and operator, and the league.

    `rides.unknown_journey` for everyone else too.
    """
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    with ctx.tx() as tx:
        detail = actions.journey(tx, JourneyId(journey_id))
    record = detail.journey
    mine = (
        caller.may("league:read")
        or caller.account_id == str(record.account_id)
        or (caller.kind != "gate" and caller.member_id in (record.issuer_id, record.operator_id))
    )
    if not mine:
        raise UnknownJourney(f"There is no journey {journey_id}.")
    return _detail(detail)


@get("/v1/tariffs", sync_to_thread=True, tags=["Rides"])
def list_tariffs(ctx: NamedDependency[Context]) -> Tariffs:
    """All versions of all tariffs, by operator and first day."""
    with ctx.tx() as tx:
        versions = actions.list_tariffs(tx)
    return Tariffs(
        [
            TariffView(
                one.operator_id,
                one.city_id,
                one.name,
                one.currency,
                one.valid_from,
                one.valid_to,
                one.digest.hex(),
            )
            for one in versions
        ]
    )


@get("/v1/tariffs/{operator_id:str}", sync_to_thread=True, tags=["Rides"], opt={"refuses": (UnknownTariff,)})
def get_tariff(
    ctx: NamedDependency[Context], operator_id: AskedPart, day: FromQuery[date | None] = None
) -> TariffText:
    """The tariff in force on a day, today if none is named. `rides.unknown_tariff` if there is none."""
    with ctx.tx() as tx:
        tariff = actions.get_tariff(tx, operator_id, day or ctx.clock.now().date())
    return TariffText(tariff.operator_id, tariff.valid_from, tariff.source.toml, dict(tariff.source.tables))


@get("/v1/fares", sync_to_thread=True, tags=["Rides"], opt={"refuses": (UnknownTariff, InvalidInput)})
def get_fare(
    ctx: NamedDependency[Context],
    operator_id: AskedName,
    origin: AskedName,
    destination: AskedName,
    at: FromQuery[datetime | None] = None,
    rider_class: FromQuery[RiderClass] = "adult",
) -> QuoteView:
    """What a single journey costs, with the reason; before caps and monthly tiers. `at`: the instant of entry."""
    when = ctx.clock.now() if at is None else at
    at_utc = _of_our_time(when, where="at")
    with ctx.tx() as tx:
        quote = actions.quote(
            tx,
            operator_id=operator_id,
            origin=origin,
            destination=destination,
            at=at_utc,
            rider_class=rider_class,
        )
    if not quote.steps:
        raise UnknownTariff
    return QuoteView(Money(quote.amount, quote.steps[0].currency), [_step(step) for step in quote.steps])


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
    list_journeys,
    get_journey,
    list_tariffs,
    get_tariff,
    get_fare,
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


def _of_our_time(instant: datetime, *, where: str) -> datetime:
    """The instant in UTC. Errors: InvalidInput without an offset, or outside of the years 2000 to 2199."""
    at = in_utc(instant, where=where)
    if not 2000 <= at.year < 2200:
        problem = Problem(where, f"the year is {at.year}", "Give an instant of the years 2000 to 2199")
        raise InvalidInput("Rides are of the years 2000 to 2199.", problems=(problem,))
    return at


def _check_accounts(tx: Tx, tokens: Collection[Token]) -> None:
    """Errors: identity.UnknownAccount when a token would stand for no account, or for another issuer's."""
    wanted = {identity.AccountId(token.account_id) for token in tokens}
    accounts = identity.find_accounts(tx, sorted(wanted))
    for token in tokens:
        account = accounts.get(identity.AccountId(token.account_id))
        if account is None or account.issuer_id != token.issuer_id:
            raise identity.UnknownAccount(f"{token.issuer_id} has no account {token.account_id}.")


def _account_of(caller: trust.Caller, account: UUID | None) -> UUID:
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    if account is not None and caller.may("league:read"):
        return account
    if caller.account_id is None or (account is not None and str(account) != caller.account_id):
        raise trust.NotAllowed("You may look at your own journeys only.")
    return UUID(caller.account_id)


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        started_at, _, journey_id = text.partition("~")
        at = datetime.fromisoformat(started_at)
        if at.tzinfo is None:
            raise ValueError("no offset")
        return at, UUID(journey_id)
    except ValueError as error:
        problem = Problem("after", "is not the next of a page", "Send it back as it came")
        raise InvalidInput("The cursor cannot be read.", problems=(problem,)) from error


def _step(step: Step) -> StepView:
    return StepView(step.rule, step.text, Money(step.amount, step.currency), dict(step.facts))


def _journey(one: JourneyRecord) -> JourneyView:
    return JourneyView(
        journey_id=one.journey_id,
        account_id=one.account_id,
        issuer_id=one.issuer_id,
        operator_id=one.operator_id,
        city_id=one.city_id,
        service_day=one.service_day,
        kind=one.kind,
        product=one.product,
        rider_class=one.rider_class,
        started_at=one.started_at,
        ended_at=one.ended_at,
        origin=one.origin,
        destination=one.destination,
        line_id=one.line_id,
        status=one.status,
        fare=one.fare,
        steps=[_step(step) for step in one.steps],
        tariff_valid_from=one.tariff_valid_from,
        companion=one.companion,
    )


def _detail(detail: JourneyDetail) -> JourneyDetailView:
    return JourneyDetailView(
        _journey(detail.journey),
        [
            TapView(
                tap.tap_id,
                tap.gate_id,
                tap.sequence,
                tap.action,
                tap.stop_id,
                tap.tapped_at,
                tap.list_version,
                tap.chain.hex(),
                tap.companion,
            )
            for tap in detail.taps
        ],
        [
            ChargeView(
                one.charge_id,
                one.revision,
                one.status,
                one.amount,
                one.wallet_amount,
                one.on_risk,
                list(one.transfer_ids),
                one.made_at,
                one.posted_at,
            )
            for one in detail.charges
        ],
    )


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
