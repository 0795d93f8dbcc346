"""Journeys as pages show them: names for ids, words for kinds, local times, and why each cost what it cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from hansa import atlas, rides
from hansa.apps.web.languages import ENGLISH, Words
from hansa.apps.web.pages import in_zone, shown
from hansa.kernel import Money
from hansa.store import Tx

PRODUCTS = {"metro": "Metro", "bus": "Bus", "tram": "Tram", "rail": "Train", "ferry": "Ferry"}
ACTIONS = {"entry": "in", "exit": "out", "board": "boarded"}
PERIODS = {"day": "today", "week": "this week", "month": "this month"}


@dataclass(frozen=True, slots=True)
class ClauseView:
    """Where the tariff says so. words: the clause as the tariff names it. lines: (number, text). address: its page."""

    words: str
    file: str
    lines: tuple[tuple[int, str], ...]
    address: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One line of a fare's explanation. clause: None where no tariff says so."""

    text: str
    amount: Money
    clause: ClauseView | None = None


@dataclass(frozen=True, slots=True)
class CapView:
    """How far a cap is reached: in words, and as two figures for a bar."""

    words: str
    label: str
    spent: int
    most: int


@dataclass(frozen=True, slots=True)
class ChargeView:
    """One posting: what it was, what left the wallet, how that came about, and why it was made."""

    words: str
    amount: Money
    detail: str
    reason: str = ""


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
    """A journey on a page. tag: what is out of the ordinary about it, or empty. why: the fare in one sentence.

    subsidy: what another member pays of it, in words. caps, notes, charges, taps: where one journey is shown.
    """

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
    why: str
    held: bool
    steps: list[StepView]
    subsidy: str = ""
    notes: Sequence[str] = ()
    caps: Sequence[CapView] = ()
    charges: Sequence[ChargeView] = ()
    taps: Sequence[TapView] = ()


class Places:
    """Names of cities, lines and stops, read once for a page."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._networks: dict[str, atlas.Network] = {}

    def network(self, city_id: str) -> atlas.Network:
        if city_id not in self._networks:
            self._networks[city_id] = atlas.get_network(self._tx, city_id)
        return self._networks[city_id]

    def stop_name(self, city_id: str, stop_id: str | None, language: str = "en") -> str:
        return rides.stop_name(self.network(city_id), stop_id, language) if stop_id else "On board"

    def line_name(self, city_id: str, line_id: str | None) -> str:
        line = self.network(city_id).lines.get(line_id or "")
        return line.name if line else (line_id or "")


def view_journey(places: Places, record: rides.JourneyRecord, say: Words = ENGLISH) -> JourneyView:
    """A journey for a list."""
    network = places.network(record.city_id)
    city, language = network.city, say.language
    tag, kind = _tag(record)
    origin = places.stop_name(record.city_id, record.origin, language) if record.origin else ""
    destination = places.stop_name(record.city_id, record.destination, language) if record.destination else ""
    if record.kind == "boarding":
        product = say(PRODUCTS[record.product]) if record.product in PRODUCTS else record.product
        title = f"{product} {places.line_name(record.city_id, record.line_id)}".strip()
        if origin:
            title = say("{line} from {origin}", line=title, origin=origin)
    else:
        title = f"{origin or say('not tapped in')} → {destination or say('not tapped out')}"
    trip = say("for {title}", title=title)
    if record.kind == "complete":
        trip = say("from {origin} to {destination}", origin=origin, destination=destination)
    missing = {"no_exit": say("No tap out was seen"), "no_entry": say("No tap in was seen")}
    return JourneyView(
        journey_id=record.journey_id,
        title=title,
        city=city_name(city, say),
        city_id=city.city_id,
        zone=city.tz,
        zone_words=_zone_words(city_name(city, say), city.tz, record.started_at, say),
        when=say.moment(record.started_at, city.tz),
        fare=record.fare,
        tag=say(tag) if tag else "",
        tag_kind=kind,
        missing=missing.get(record.kind, ""),
        why=_why(record, trip, say),
        held=record.status == "held",
        steps=[_view_step(step, network, say) for step in record.steps],
    )


def view_detail(
    places: Places,
    detail: rides.JourneyDetail,
    say: Words = ENGLISH,
    *,
    source: rides.TariffSource | None = None,
    corrections: Iterable[rides.Correction] = (),
    caps: Iterable[rides.CapProgress] = (),
) -> JourneyView:
    """A journey with its taps and its postings.

    source: the text of the tariff that priced it, for the clauses of its steps. corrections, caps: where asked for.
    """
    record = detail.journey
    view = view_journey(places, record, say)
    network = places.network(record.city_id)
    reasons = {one.revision: _corrected(one, network, say) for one in corrections}
    subsidy = ""
    if record.subsidy is not None:
        amount = Money(record.subsidy.amount_minor, record.fare.currency)
        subsidy = say("{payer} pays {amount} of this fare", payer=record.subsidy.payer, amount=amount)
    return replace(
        view,
        steps=[
            _view_step(
                step,
                network,
                say,
                None if source is None else view_clause(step, record_question(record), source),
            )
            for step in record.steps
        ],
        subsidy=subsidy,
        notes=[_view_step(note, network, say).text for note in record.notes],
        caps=view_caps(caps, say),
        charges=[_view_charge(charge, reasons.get(charge.revision, ""), say) for charge in detail.charges],
        taps=[_view_tap(places, record.city_id, tap, say) for tap in detail.taps],
    )


def tariff_text(tx: Tx, record: rides.JourneyRecord) -> rides.TariffSource | None:
    """The text of the tariff that priced a journey; None where the one in force that day is another by now."""
    try:
        tariff = rides.get_tariff(tx, record.operator_id, record.service_day)
    except rides.UnknownTariff:
        return None
    return tariff.source if tariff.valid_from == record.tariff_valid_from else None


@dataclass(frozen=True, slots=True)
class Priced:
    """What a clause's page needs to know of the ride: whose tariff, of which day."""

    operator_id: str
    tariff_from: str


def record_question(record: rides.JourneyRecord) -> Priced:
    """The ride of a journey in the books."""
    valid_from = record.tariff_valid_from.isoformat()
    return Priced(record.operator_id, valid_from)


def view_clause(step: rides.Step, priced: Priced, source: rides.TariffSource) -> ClauseView | None:
    """Where the tariff says what a step says; None where it says nothing of it."""
    if not step.clause:
        return None
    excerpt = rides.clause_lines(source, step.clause)
    row = rides.table_row(source, step.clause)
    asked = {"from": priced.tariff_from, "clause": step.clause}
    address = f"/fares/{priced.operator_id}/tariff?{urlencode(asked)}"
    if not (excerpt.lines or row.lines):
        return None
    lines = row.lines or excerpt.lines
    return ClauseView(
        step.clause, row.file, lines, f"{address}#L{excerpt.first}" if excerpt.first else address
    )


def view_caps(caps: Iterable[rides.CapProgress], say: Words) -> list[CapView]:
    """For each period the cap that is nearest to being reached."""
    nearest: dict[str, rides.CapProgress] = {}
    for cap in caps:
        known = nearest.get(cap.period)
        if known is None or cap.spent.minor * known.most.minor > known.spent.minor * cap.most.minor:
            nearest[cap.period] = cap
    found: list[CapView] = []
    for cap in nearest.values():
        facts = {"spent": cap.spent, "most": cap.most, "period": say(PERIODS[cap.period])}
        if cap.reached:
            words = say("{most} reached {period}: more such rides cost nothing", **facts)
        else:
            words = say("{spent} of {most} {period}", **facts)
        found.append(CapView(words, cap.label, cap.spent.minor, cap.most.minor))
    return found


def _view_step(
    step: rides.Step, network: atlas.Network, say: Words, clause: ClauseView | None = None
) -> StepView:
    text = rides.with_stop_names(step, network, say.language).said(say.language)
    return StepView(text, Money(step.amount, step.currency), clause)


def city_name(city: atlas.City, say: Words) -> str:
    """What a city is called by readers of a language."""
    return city.local_name if say.language == "zh" and city.local_name else city.name


def band_of(steps: Iterable[rides.Step]) -> str:
    """The time band that a fare's basis followed; empty where it hangs on none."""
    return next((str(step.facts["band"]) for step in steps if step.facts.get("band")), "")


def fare_sentence(fare: Money, rider_class: str, trip: str, band: str, say: Words) -> str:
    """``£2.90: adult fare from Bank to Victoria, peak.`` trip: ``from Bank to Victoria``, ``for Bus 25``."""
    facts = {"fare": shown(fare), "class": say(rider_class), "trip": trip}
    if not fare.minor:
        return say("{fare}: no charge {trip}.", **facts)
    if band:
        return say("{fare}: {class} fare {trip}, {band}.", band=say(band), **facts)
    return say("{fare}: {class} fare {trip}.", **facts)


def _why(record: rides.JourneyRecord, trip: str, say: Words) -> str:
    """The fare in one sentence, and a second one where a rule made it less."""
    if record.status == "held":
        return say("There is no price for this journey yet, and nothing is charged.")
    if record.status == "withdrawn":
        return say("This journey was taken back: another one took its place.")
    if record.kind in ("no_exit", "no_entry"):
        words = "{fare}: a tap is missing, so this is the fare for an incomplete journey."
        return say(words, fare=shown(record.fare))
    rules = {step.rule: step for step in record.steps}
    text = fare_sentence(record.fare, record.rider_class, trip, band_of(record.steps), say)
    for rule, words in (
        ("cap", "A cap is reached, so it costs less."),
        ("transfer", "It is a transfer, so it costs less."),
        ("join", "It is one trip with the ride before."),
        ("tier", "You travelled enough this month to pay less."),
    ):
        if rule in rules and (rule == "join" or rules[rule].amount < 0):
            text += f" {say(words)}"
    return text


def _corrected(one: rides.Correction, network: atlas.Network, say: Words) -> str:
    zone, tap = network.city.tz, one.tap
    stop_id = tap.stop_id if tap is not None else None
    return one.said(
        say.language,
        place=rides.stop_name(network, stop_id, say.language) if stop_id else "",
        clock=lambda at: in_zone(at, zone),
        moment=lambda at: say.moment(at, zone),
    )


def _zone_words(city: str, tz: str, at: datetime, say: Words) -> str:
    """``Toronto time (America/Toronto, UTC-05:00)``: which clock the times of a page are by."""
    offset = in_zone(at, tz, "%z")
    return say("{city} time ({tz}, UTC{offset})", city=city, tz=tz, offset=f"{offset[:3]}:{offset[3:]}")


def _view_charge(charge: rides.ChargeRecord, reason: str, say: Words) -> ChargeView:
    words = say("Fare") if charge.revision == 0 else say("Correction")
    taken = charge.wallet_amount if charge.wallet_amount is not None else charge.amount
    details: list[str] = []
    if charge.status != "posted":
        details.append(say("being posted"))
    if charge.on_risk:
        details.append(say("your wallet held too little, so your issuer paid it and you owe it"))
    elif charge.wallet_amount is not None and charge.wallet_amount.currency != charge.amount.currency:
        paid, got = shown(charge.amount), shown(charge.wallet_amount)
        details.append(say("{paid} exchanged to {got}", paid=paid, got=got))
    if not details:
        details.append(say("from your wallet") if charge.amount.minor > 0 else say("back to your wallet"))
    return ChargeView(words, -taken, "; ".join(details), reason)


def _view_tap(places: Places, city_id: str, tap: rides.Tap, say: Words) -> TapView:
    action = say(ACTIONS[tap.action]) if tap.stop_id or tap.action != "board" else ""
    return TapView(
        tap_id=tap.tap_id,
        place=places.stop_name(city_id, tap.stop_id, say.language) if tap.stop_id else say("On board"),
        action=action,
        at=tap.tapped_at,
        detail=say("gate {gate}, tap {number}", gate=tap.gate_id, number=tap.sequence),
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
