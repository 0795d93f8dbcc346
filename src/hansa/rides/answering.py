"""What the routes of this room share: instants of our time, the language of an answer, steps with their words."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec
from litestar import Response
from litestar.params import HeaderParameter, QueryParameter

from hansa import atlas
from hansa.fares import LANGUAGES, Step
from hansa.kernel import InvalidInput, Money, Problem, accepted_languages, choose_language, in_utc
from hansa.rides.clauses import line_of

Body = TypeVar("Body")

Wanted = Annotated[
    str,
    HeaderParameter(
        name="Accept-Language", max_length=1_000, description="Languages for `text`, as RFC 9110 has them."
    ),
]
AskedLanguage = Annotated[
    str,
    QueryParameter(
        max_length=35,
        pattern=r"^[A-Za-z0-9*-]*$",
        description="A language for `text`: `en` or `zh`. It counts before the header; another is answered in English.",
    ),
]


class StepView(msgspec.Struct, frozen=True):
    """One line of a fare's explanation; the amounts add up to the fare.

    text: in the language of the answer. clause: the part of the tariff that says so, with its line in the text that
    `/v1/tariffs/…` gives, empty where none does; line: that line, null where there is none.
    """

    rule: str
    text: str
    amount: Money
    clause: str
    line: int | None
    facts: dict[str, str | int]


def view_step(step: Step, network: atlas.Network, language: str) -> StepView:
    """A step as the interface tells it."""
    step = with_stop_names(step, network, language)
    facts = {name: fact for name, fact in step.facts.items() if name != "clause"}
    money = Money(step.amount, step.currency)
    return StepView(step.rule, step.said(language), money, step.clause, line_of(step.clause), facts)


def view_steps(steps: Iterable[Step], network: atlas.Network, language: str) -> list[StepView]:
    """Steps as the interface tells them."""
    return [view_step(step, network, language) for step in steps]


def with_stop_names(step: Step, network: atlas.Network, language: str) -> Step:
    """A step with its stops called as readers of the language call them, also where it has only their ids."""
    names = _names(network, language)
    facts = {
        key: names.get(fact, fact) if isinstance(fact, str) else fact for key, fact in step.facts.items()
    }
    return Step(step.rule, step.amount, step.currency, facts)


def why_held(steps: Iterable[Step], network: atlas.Network, language: str) -> str:
    """Why a ride has no fare, in words; empty where it has one."""
    held = (with_stop_names(step, network, language) for step in steps if step.rule == "held")
    return next((step.why(language) for step in held), "")


def stop_name(network: atlas.Network, stop_id: str, language: str) -> str:
    """What a stop is called; in ``zh`` as it is written there. Its id where the network does not know it."""
    return _names(network, language).get(stop_id, stop_id)


@lru_cache(maxsize=128)
def _names(network: atlas.Network, language: str) -> dict[str, str]:
    """What stops are called, by id and by name."""
    named: dict[str, str] = {}
    for stop in network.stops.values():
        called = stop.local_name if language == "zh" and stop.local_name else stop.name
        named[stop.name] = named[stop.stop_id] = called
    return named


def language_of(asked: str, header: str) -> str:
    """The language of an answer: the one asked for by name, else by the header; English where neither is served."""
    return choose_language([asked] if asked else accepted_languages(header), LANGUAGES)


def in_language(body: Body, language: str) -> Response[Body]:
    """An answer that names its language, and that it hangs on the header."""
    return Response(body, headers={"content-language": language, "vary": "Accept-Language"})


def of_our_time(instant: datetime, *, where: str) -> datetime:
    """The instant in UTC. Errors: InvalidInput without an offset, or outside of the years 2000 to 2199."""
    at = in_utc(instant, where=where)
    if not 2000 <= at.year < 2200:
        problem = Problem(where, f"the year is {at.year}", "Give an instant of the years 2000 to 2199")
        raise InvalidInput("Rides are of the years 2000 to 2199.", problems=(problem,))
    return at
