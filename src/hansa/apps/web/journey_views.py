"""Journeys as pages show them: names for ids, words for kinds, local times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansa import atlas, rides
from hansa.apps.web.pages import in_zone, shown
from hansa.kernel import Money
from hansa.store import Tx

PRODUCTS = {"metro": "Metro", "bus": "Bus", "tram": "Tram", "rail": "Train", "ferry": "Ferry"}
ACTIONS = {"entry": "in", "exit": "out", "board": "boarded"}


@dataclass(frozen=True, slots=True)
class StepView:
    """One line of a fare's explanation."""

    text: str
    amount: Money


@dataclass(frozen=True, slots=True)
class ChargeView:
    """One posting: what it was, what left the wallet, and how that came about."""

    words: str
    amount: Money
    detail: str


@dataclass(frozen=True, slots=True)
class TapView:
    """One tap: where, which way, when, and what a back office asks about it."""

    tap_id: UUID
    place: str
    action: str
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class JourneyView:
    """A journey on a page. tag: what is out of the ordinary about it, or empty."""

    journey_id: UUID
    title: str
    city: str
    city_id: str
    zone: str
    zone_words: str
    when: str
    fare: Money
    tag: str
    tag_kind: str
    missing: str
    steps: list[StepView]
    charges: list[ChargeView]
    taps: list[TapView]


class Places:
    """Names of cities, lines and stops, read once for a page."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._networks: dict[str, atlas.Network] = {}

    def network(self, city_id: str) -> atlas.Network:
        if city_id not in self._networks:
            self._networks[city_id] = atlas.get_network(self._tx, city_id)
        return self._networks[city_id]

    def stop_name(self, city_id: str, stop_id: str | None) -> str:
        stop = self.network(city_id).stops.get(stop_id or "")
        return stop.name if stop else (stop_id or "On board")

    def line_name(self, city_id: str, line_id: str | None) -> str:
        line = self.network(city_id).lines.get(line_id or "")
        return line.name if line else (line_id or "")


def view_journey(places: Places, record: rides.JourneyRecord) -> JourneyView:
    """A journey for a list."""
    city = places.network(record.city_id).city
    tag, kind = _tag(record)
    origin = places.stop_name(record.city_id, record.origin) if record.origin else ""
    destination = places.stop_name(record.city_id, record.destination) if record.destination else ""
    if record.kind == "boarding":
        line = places.line_name(record.city_id, record.line_id)
        title = f"{PRODUCTS.get(record.product, record.product)} {line}".strip()
        if origin:
            title += f" from {origin}"
    else:
        title = f"{origin or 'not tapped in'} → {destination or 'not tapped out'}"
    missing = {"no_exit": "No tap out was seen", "no_entry": "No tap in was seen"}.get(record.kind, "")
    return JourneyView(
        journey_id=record.journey_id,
        title=title,
        city=city.name,
        city_id=city.city_id,
        zone=city.tz,
        zone_words=_zone_words(city.name, city.tz, record.started_at),
        when=in_zone(record.started_at, city.tz, "%a %d %b, %H:%M"),
        fare=record.fare,
        tag=tag,
        tag_kind=kind,
        missing=missing,
        steps=[StepView(step.text, Money(step.amount, step.currency)) for step in record.steps],
        charges=[],
        taps=[],
    )


def view_detail(places: Places, detail: rides.JourneyDetail) -> JourneyView:
    """A journey with its taps and its postings."""
    record = detail.journey
    view = view_journey(places, record)
    return JourneyView(
        journey_id=view.journey_id,
        title=view.title,
        city=view.city,
        city_id=view.city_id,
        zone=view.zone,
        zone_words=view.zone_words,
        when=view.when,
        fare=view.fare,
        tag=view.tag,
        tag_kind=view.tag_kind,
        missing=view.missing,
        steps=view.steps,
        charges=[_view_charge(charge) for charge in detail.charges],
        taps=[_view_tap(places, record.city_id, tap) for tap in detail.taps],
    )


def _zone_words(city: str, tz: str, at: datetime) -> str:
    """``Toronto time (America/Toronto, UTC-05:00)``: which clock the times of a page are by."""
    offset = in_zone(at, tz, "%z")
    return f"{city} time ({tz}, UTC{offset[:3]}:{offset[3:]})"


def _view_charge(charge: rides.ChargeRecord) -> ChargeView:
    words = "Fare" if charge.revision == 0 else "Correction"
    taken = charge.wallet_amount if charge.wallet_amount is not None else charge.amount
    details: list[str] = []
    if charge.status != "posted":
        details.append("being posted")
    if charge.on_risk:
        details.append("your wallet held too little, so your issuer paid it and you owe it")
    elif charge.wallet_amount is not None and charge.wallet_amount.currency != charge.amount.currency:
        details.append(f"{shown(charge.amount)} exchanged to {shown(charge.wallet_amount)}")
    return ChargeView(words, -taken, "; ".join(details) or "from your wallet")


def _view_tap(places: Places, city_id: str, tap: rides.Tap) -> TapView:
    return TapView(
        tap_id=tap.tap_id,
        place=places.stop_name(city_id, tap.stop_id),
        action=ACTIONS.get(tap.action, tap.action) if tap.stop_id or tap.action != "board" else "",
        at=tap.tapped_at,
        detail=f"gate {tap.gate_id}, tap {tap.sequence}",
    )


def _tag(record: rides.JourneyRecord) -> tuple[str, str]:
    if record.status == "held":
        return "price being checked", "bad"
    if record.status == "withdrawn":
        return "withdrawn", "plain"
    if record.kind in ("no_exit", "no_entry"):
        return "incomplete", "warm"
    rules = " ".join(step.rule for step in record.steps)
    for word, words in TAGS.items():
        if word in rules:
            return words, ""
    return "", ""


TAGS: Mapping[str, str] = {"cap": "capped", "transfer": "transfer", "tier": "monthly discount"}
"""Words in the name of a fare's rule that are worth a tag in a list."""
