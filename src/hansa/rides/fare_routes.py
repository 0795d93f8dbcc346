"""HTTP for fares: tariffs as they were written, and what a journey would cost. Anybody may ask."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter

from hansa.kernel import InvalidInput, Money, Problem
from hansa.rides import actions
from hansa.rides.answering import (
    AskedLanguage,
    StepView,
    Wanted,
    in_language,
    language_of,
    of_our_time,
    view_steps,
    why_held,
)
from hansa.rides.asking import Answer, Question, WhatIfRide, ask
from hansa.rides.model import UnknownTariff
from hansa.store import Context

NO_CONTROL = r"^[^\x00-\x1f]*$"
AskedName = Annotated[str, QueryParameter(min_length=1, max_length=200, pattern=NO_CONTROL)]
AskedStop = Annotated[
    str,
    QueryParameter(
        min_length=1, max_length=200, pattern=NO_CONTROL, description="A stop's id, or its whole name."
    ),
]
AskedWord = Annotated[str, QueryParameter(max_length=100, pattern=NO_CONTROL)]
AskedPart = Annotated[str, PathParameter(min_length=1, max_length=200, pattern=NO_CONTROL)]
AFTER_MAX = 30
VIA_MAX = 10
AskedVia = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NO_CONTROL)]] | None,
    QueryParameter(
        max_items=VIA_MAX,
        description=(
            "A stop, by id or whole name, whose reader inside the network was passed, where the fare hangs on the way. "
            "Once for each, in order."
        ),
    ),
]
AskedAfter = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=500)]] | None,
    QueryParameter(
        max_items=AFTER_MAX,
        description=(
            "A ride made before, that day, so that transfers and caps count it: `origin,destination,at`, and after "
            "these, where they matter, `,product,line_id,medium,via,...`. Once for each ride, in order."
        ),
    ),
]


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
    """What a journey costs, and why.

    status: ``priced``, or ``held`` when the tariff has no answer; then fare is null and held tells why.
    tariff_valid_from, network_version: which tariff priced it, over which network. language: of the steps' words.
    minimum_balance: what the tariff wants a wallet to hold at entry; null where it asks for nothing.
    """

    status: str
    fare: Money | None
    held: str | None
    steps: list[StepView]
    operator_id: str
    origin: str
    destination: str
    at: datetime
    rider_class: str
    product: str
    service_day: date
    tariff_name: str
    tariff_valid_from: date
    network_version: int
    language: str
    minimum_balance: Money | None
    via: list[str]


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
    origin: AskedStop,
    destination: AskedStop,
    at: FromQuery[datetime | None] = None,
    ended_at: FromQuery[datetime | None] = None,
    rider_class: AskedWord = "adult",
    product: AskedWord = "",
    line_id: AskedWord = "",
    medium: AskedWord = "",
    via: AskedVia = None,
    after: AskedAfter = None,
    language: AskedLanguage = "",
    wanted: Wanted = "",
) -> Response[QuoteView]:
    """What if: the fare of a journey with its steps, after the rides of `after`, before what other days used up.

    `at`: the instant of entry, now if none is given; `ended_at`: of exit, where the tariff looks at it. `product`,
    `line_id`, `medium`, `via`: where the fare hangs on them. `held` with the reason where the tariff has none.
    `hansa.invalid_input` names the field that is not known, and what may have been meant.
    """
    at_utc = of_our_time(ctx.clock.now() if at is None else at, where="at")
    ended_utc = None if ended_at is None else of_our_time(ended_at, where="ended_at")
    if ended_utc is not None and ended_utc < at_utc:
        problem = Problem("ended_at", "it is before the entry", "Give an instant after at")
        raise InvalidInput("A journey ends after it begins.", problems=(problem,))
    question = Question(
        operator_id=operator_id,
        origin=origin,
        destination=destination,
        at=at_utc,
        rider_class=rider_class,
        ended_at=ended_utc,
        product=product,
        line_id=line_id or None,
        medium=medium,
        via=tuple(via or ()),
        after=tuple(_ride(text, place) for place, text in enumerate(after or ())),
    )
    said = language_of(language, wanted)
    with ctx.tx() as tx:
        answer = ask(tx, question)
    return in_language(_quote(answer, said), said)


ROUTES = [list_tariffs, get_tariff, get_fare]


def _ride(text: str, place: int) -> WhatIfRide:
    """``origin,destination,at[,product[,line_id[,medium[,via...]]]]`` as a ride. Errors: InvalidInput."""
    parts = [part.strip() for part in text.split(",")]
    where = f"after[{place}]"
    if not 3 <= len(parts) <= 6 + VIA_MAX or not all(parts[:3]):
        problem = Problem(
            where, f"{text!r} is no ride", "Write origin,destination,at: a,b,2026-11-17T08:00:00Z"
        )
        raise InvalidInput("A ride before cannot be read.", problems=(problem,))
    try:
        at = datetime.fromisoformat(parts[2])
    except ValueError as error:
        problem = Problem(f"{where}.at", f"{parts[2]!r} is no instant", "Write it as 2026-11-17T08:00:00Z")
        raise InvalidInput("A ride before cannot be read.", problems=(problem,)) from error
    product, line_id, medium, *_ = (*parts[3:], "", "", "")
    return WhatIfRide(
        origin=parts[0],
        destination=parts[1],
        at=of_our_time(at, where=f"{where}.at"),
        product=product,
        line_id=line_id or None,
        medium=medium,
        via=tuple(part for part in parts[6:] if part),
    )


def _quote(answer: Answer, language: str) -> QuoteView:
    fare, question = answer.fare, answer.question
    held = fare.status == "held"
    return QuoteView(
        status=fare.status,
        fare=None if held else Money(fare.amount_minor, fare.currency),
        held=why_held(fare.steps, answer.network, language) if held else None,
        steps=view_steps(fare.steps, answer.network, language),
        operator_id=question.operator_id,
        origin=question.origin,
        destination=question.destination,
        at=question.at,
        rider_class=question.rider_class,
        product=question.product,
        service_day=answer.service_day,
        tariff_name=answer.tariff.name,
        tariff_valid_from=answer.tariff.valid_from,
        network_version=answer.network.version,
        language=language,
        minimum_balance=Money(answer.minimum_balance, answer.tariff.currency)
        if answer.minimum_balance
        else None,
        via=list(question.via),
    )
