"""HTTP for journeys: a rider, an issuer, an operator or the league asks what was ridden, what it cost, and why."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import atlas, identity, trust
from hansa.fares import JourneyId
from hansa.kernel import InvalidInput, Money, mark_text, paged, read_mark
from hansa.rides import actions
from hansa.rides.answering import (
    AskedLanguage,
    StepView,
    Wanted,
    in_language,
    language_of,
    of_our_time,
    stop_name,
    view_steps,
)
from hansa.rides.corrections import corrections, fares_by_revision
from hansa.rides.corrections_model import Correction
from hansa.rides.model import JourneyDetail, JourneyRecord, UnknownJourney
from hansa.rides.pairing import StatedBy
from hansa.rides.progress import CapProgress, cap_progress
from hansa.rides.stated import REASON_MAX, JourneyNotOpen, StatedTooOften, state_end
from hansa.store import Context, Tx

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]


class SubsidyView(msgspec.Struct, frozen=True):
    """What another member pays of a fare."""

    payer_id: str
    amount: Money


class JourneyView(msgspec.Struct, frozen=True):
    """A journey with its fare. status: ``held`` when the tariff has no answer yet; nothing is charged then.

    fare: what the rider pays. subsidy: what the member named pays on top of it, else null. steps: how the fare came
    about. notes: how its taps became this journey; they move no money. companion: 0 when the token's holder rode, 1 to
    15 for who rode along on the holder's account. trip_id: the first journey of the trip that it goes on with, else
    null. tariff_valid_from, network_version: which tariff priced it, over which network. distance_m: as devices
    measured it. language: of the words of steps and notes.
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
    subsidy: SubsidyView | None
    notes: list[StepView]
    trip_id: UUID | None
    network_version: int | None
    medium: str
    distance_m: int | None
    language: str


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


class ReasonView(msgspec.Struct, frozen=True):
    """Why a fare was put right. cause: ``late_tap``, ``stated`` where its end was stated, ``tariff``, or ``day``:
    something else of the day or its period.

    tap_id, tapped_at, received_at: of the tap that came in late, else null.
    """

    cause: str
    text: str
    tap_id: UUID | None
    tapped_at: datetime | None
    received_at: datetime | None


class ChargeView(msgspec.Struct, frozen=True):
    """A posting of a journey; revision 0 is the first fare, later ones correct it.

    fare_before, fare_after: what the journey cost before and with it. reason: of a correction, else null.
    """

    charge_id: UUID
    revision: int
    status: str
    amount: Money
    wallet_amount: Money | None
    on_risk: bool
    transfer_ids: list[UUID]
    made_at: datetime
    posted_at: datetime | None
    fare_before: Money
    fare_after: Money
    reason: ReasonView | None


class CapView(msgspec.Struct, frozen=True):
    """A cap that the journey counts towards, and what was spent inside it up to and including the journey.

    period: ``day``, ``week`` or ``month``. clause: where the tariff says so.
    """

    period: str
    label: str
    spent: Money
    most: Money
    clause: str


class EndBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and when a journey with a missing tap ended (or began). stop_id: an id, or a stop's whole name."""

    stop_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_MAX, pattern=r"^[^\x00-\x1f]*$")]


class StatementView(msgspec.Struct, frozen=True):
    """What was stated of a journey. revision: 1 for the first statement; the last one counts. by: whose word it is."""

    journey_id: UUID
    revision: int
    stop_id: str
    at: datetime
    by: str
    reason: str


class JourneyDetailView(msgspec.Struct, frozen=True):
    """A journey down to its taps and up to its postings."""

    journey: JourneyView
    taps: list[TapView]
    charges: list[ChargeView]
    caps: list[CapView]


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
    language: AskedLanguage = "",
    wanted: Wanted = "",
) -> Response[JourneyPage]:
    """A rider's journeys, latest first: your own when signed in, or with `league:read` those of the `account` named.

    `trust.not_allowed` for a key that names no `account` or may not read it.
    """
    account_id = _account_of(caller, account)
    cursor = read_mark(after)
    said = language_of(language, wanted)
    with ctx.tx() as tx:
        found = actions.journeys(tx, account_id, after=cursor, limit=limit + 1)
        _note_reading(tx, caller, account_id, ctx.clock.now())
        page, more = paged(found, limit, lambda one: mark_text(one.started_at, one.journey_id))
        networks = {city_id: atlas.get_network(tx, city_id) for city_id in {one.city_id for one in page}}
    return in_language(JourneyPage([_journey(one, networks[one.city_id], said) for one in page], more), said)


@get(
    "/v1/journeys/{journey_id:uuid}",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"who": ("key", "session"), "refuses": (UnknownJourney,)},
)
def get_journey(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    journey_id: FromPath[UUID],
    language: AskedLanguage = "",
    wanted: Wanted = "",
) -> Response[JourneyDetailView]:
    """A journey down to its taps and up to its postings: for its rider, issuer and operator, and the league.

    `rides.unknown_journey` for everyone else too.
    """
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    said = language_of(language, wanted)
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
        _note_reading(tx, caller, record.account_id, ctx.clock.now())
        partition = ctx.directory.partition_of(record.account_id)
        network = atlas.get_network(tx, record.city_id)
        reasons = {
            one.revision: _reason(network, one, said) for one in corrections(tx, detail, partition=partition)
        }
        caps = cap_progress(tx, record)
    return in_language(_detail(detail, network, reasons, caps, said), said)


@post(
    "/v1/journeys/{journey_id:uuid}/end",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "who": ("key", "session"),
        "refuses": (UnknownJourney, JourneyNotOpen, StatedTooOften, trust.NotAllowed, InvalidInput),
    },
)
def state_journey_end(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    journey_id: FromPath[UUID],
    data: JSONBody[EndBody],
) -> StatementView:
    """State where and when a journey with a missing tap really ended, or began. Again is harmless.

    Its rider may, as often as the tariff lets riders; and with `taps:write` its operator, whose word counts before the
    rider's. The fare is worked out anew with it, and the tap counts if it comes after all. `rides.journey_not_open`
    where no tap is missing, `rides.stated_too_often` past the tariff's limits; nothing is kept then.
    """
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    with ctx.tx() as tx:
        record = actions.journey(tx, JourneyId(journey_id)).journey
        by = _whose_word(caller, record)
        network = atlas.get_network(tx, record.city_id, day=record.service_day)
        stated = state_end(
            tx,
            journey_id,
            stop_id=atlas.get_stop(network, data.stop_id, where="stop_id").stop_id,
            at=of_our_time(data.at, where="at"),
            by=by,
            caller_id=caller.caller_id,
            reason=data.reason,
            now=ctx.clock.now(),
        )
    return StatementView(
        stated.journey_id, stated.revision, stated.stop_id, stated.at, stated.by, stated.reason
    )


ROUTES = [list_journeys, get_journey, state_journey_end]


def _note_reading(tx: Tx, caller: trust.Caller, account_id: UUID, at: datetime) -> None:
    """Keep for the rider that somebody else read where they rode."""
    if caller.account_id is None:
        identity.saw(tx, identity.AccountId(account_id), caller.who, "journeys", identity.BY_PROGRAM, at)


def _account_of(caller: trust.Caller, account: UUID | None) -> UUID:
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    if account is not None and caller.may("league:read"):
        return account
    if caller.account_id is None or (account is not None and str(account) != caller.account_id):
        raise trust.NotAllowed("You may look at your own journeys only.")
    return UUID(caller.account_id)


def _whose_word(caller: trust.Caller, record: JourneyRecord) -> StatedBy:
    """As whom a caller may speak of a journey's end. Errors: UnknownJourney for strangers, NotAllowed."""
    if caller.account_id == str(record.account_id):
        return "rider"
    if caller.kind != "league" and caller.member_id != record.operator_id:
        raise UnknownJourney(f"There is no journey {record.journey_id}.")
    caller.require("taps:write")
    return "operator"


def _subsidy(one: JourneyRecord) -> SubsidyView | None:
    if one.subsidy is None:
        return None
    return SubsidyView(one.subsidy.payer, Money(one.subsidy.amount_minor, one.fare.currency))


def _journey(one: JourneyRecord, network: atlas.Network, language: str) -> JourneyView:
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
        steps=view_steps(one.steps, network, language),
        tariff_valid_from=one.tariff_valid_from,
        companion=one.companion,
        subsidy=_subsidy(one),
        notes=view_steps(one.notes, network, language),
        trip_id=one.trip_id,
        network_version=one.network_version,
        medium=one.medium,
        distance_m=one.distance_m,
        language=language,
    )


def _detail(
    detail: JourneyDetail,
    network: atlas.Network,
    reasons: dict[int, ReasonView],
    caps: list[CapProgress],
    language: str,
) -> JourneyDetailView:
    fares = fares_by_revision(detail.charges)
    return JourneyDetailView(
        _journey(detail.journey, network, language),
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
                fare - one.amount,
                fare,
                reasons.get(one.revision),
            )
            for one, fare in zip(detail.charges, fares, strict=True)
        ],
        [CapView(one.period, one.label, one.spent, one.most, one.clause) for one in caps],
    )


def _reason(network: atlas.Network, one: Correction, language: str) -> ReasonView:
    zone, tap = ZoneInfo(network.city.tz), one.tap
    text = one.said(
        language,
        place="" if tap is None or tap.stop_id is None else stop_name(network, tap.stop_id, language),
        clock=lambda at: at.astimezone(zone).strftime("%H:%M"),
        moment=lambda at: at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
    )
    if tap is None:
        return ReasonView(one.cause, text, None, None, None)
    return ReasonView(one.cause, text, tap.tap_id, tap.tapped_at, tap.received_at)
