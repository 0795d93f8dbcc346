"""An independent reference for the books of rides: each ride priced as it is made, from plain lists.

It knows no database, no days that wait and nothing that is rated again: all taps are there, and the rides of all
operators are gone through in the order in which they began. What the books come to, in whatever order taps reach them,
must be this.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import count
from random import Random

from hansa import atlas, payments, rides, trust
from hansa.fares import Around, HeldPass, open_window
from hansa.kernel import Money, service_day
from hansa.rides import (
    Counters,
    Fare,
    Journey,
    JourneyId,
    Pricer,
    Tap,
    Tariff,
    TariffSource,
    Touch,
    read_source,
)
from hansa.store import Context
from rides.riding import League, network_of

CITY = "london"
STOPS = tuple(
    f"london/{name}"
    for name in (
        "oxford-circus",
        "brixton",
        "stratford",
        "ealing-broadway",
        "south-wimbledon",
        "heathrow-terminal-5",
    )
)
LINE = "london/victoria"
FIRST_DAY = date(2026, 11, 27)
"""A Friday; the Tuesday after is the first of December."""

HABIT_DAYS = 90
RATE = Fraction(6, 5)
"""Units of euro for one pound, on every day."""

HEAD = """format = 1
operator = "{operator}"
city = "london"
name = "Fares of {operator}"
currency = "{currency}"
valid_from = 2026-01-01
tz = "Europe/London"
day_starts = "04:00"
{top}
[classes.adult]
percent = 100
[classes.child]
percent = 50
[classes.student]
percent = 80
[classes.senior]
percent = 50
{subsidy}
[journey]
max_minutes = 240
"""

BASES = (
    '[basis]\nkind = "flat"\nfare = "2.00"\n',
    '[basis]\nkind = "distance"\n[[basis.band]]\nup_to_m = 8000\nfare = "1.70"\n'
    '[[basis.band]]\nup_to_m = 60000\nfare = "3.10"\n',
    '[basis]\nkind = "distance"\nmeasure = "given"\n[[basis.band]]\nup_to_m = 9000\nfare = "1.50"\n'
    '[[basis.band]]\nup_to_m = 40000\nfare = "2.90"\n',  # the farthest stops have no fare: held
    '[basis]\nkind = "zone-count"\nhighest_stays = true\n[[basis.count]]\nzones = 1\nfare = "1.60"\n'
    '[[basis.count]]\nzones = 2\nfare = "2.40"\n',
)

ENDS = (
    '[incomplete]\nfare = "7.00"\n',
    '[incomplete]\nfare = "highest"\ncounts = true\n',
    '[incomplete]\nfare = "7.00"\nhabit = {{ percent = 51, rides = 2 }}\n'.replace("{{", "{").replace(
        "}}", "}"
    ),
)

SHORT_RULES: tuple[str, ...] = (
    '[[cap]]\nperiod = "day"\namount = "6.00"\n',
    '[[carnet]]\nname = "Four"\nrides = 4\nfare = "5.50"\nperiod = "day"\n',
    '[[fee]]\nname = "Airport"\nstops = ["london/heathrow-terminal-5"]\namount = "1.25"\n'
    'most = { period = "week", amount = "2.00" }\n',
    '[[fee]]\nname = "Door"\nper = "trip"\namount = "0.35"\nmost = { period = "month", amount = "1.50" }\n',
    '[[transfer]]\nname = "Change"\nwindow_from = "first_tap"\nwindow_minutes = 90\npercent = 25\n',
    '[[transfer]]\nname = "Late"\nwindow_from = "exit"\nwindow_minutes = 120\nfare = "0.50"\nacross_days = true\n',
    '[[join]]\nname = "One trip"\nwithin_minutes = 40\nlegs_max = 3\n',
    '[[tier]]\nperiod = "month"\nfrom = "9.00"\npercent = 70\n',
    '[[tier]]\nname = "Often"\nperiod = "week"\nfrom_rides = 3\npercent = 60\n',
    '[[pass]]\nname = "Any"\npercent = 10\nprice = "5.00"\nlasts = "3 days"\n'
    '[[pass]]\nname = "Inner"\nzones = ["1", "2"]\nprice = "4.00"\nlasts = "week"\n',
    '[[discount]]\nname = "By card"\nless = "0.20"\nmedia = ["code"]\n',
    '[[discount]]\nname = "Own lines"\npercent = 90\noperators = ["{operator}"]\n',
)

LONG_RULES = (
    '[[cap]]\nperiod = "week"\namount = "14.00"\n',
    '[[cap]]\nperiod = "week"\nname = "Weekday week"\namount = "9.00"\nproducts = ["metro"]\nstops = ["{stop}"]\n',
    '[[cap]]\nperiod = "month"\namount = "21.00"\n',
    '[[carnet]]\nname = "Ten"\nrides = 5\nfare = "7.50"\nperiod = "month"\n',
    '[[carnet]]\nname = "Three"\nrides = 3\nfare = "4.20"\nperiod = "week"\n',
    "",
)

ROLLING = (
    '[[cap]]\nperiod = "24 hours"\nname = "24 hours"\namount = "5.80"\n',
    '[[cap]]\nperiod = "3 days"\nname = "Three days"\namount = "8.00"\n',
    '[[cap]]\nperiod = "2 days"\nname = "Two days"\namount = "6.50"\nzones = ["1", "2"]\n',
    "",
    "",
)

PARTNER_RULES = (
    '[[transfer]]\nname = "After {partner}"\nbefore = {{ operators = ["{partner}"] }}\nwindow_from = "first_tap"\n'
    "window_minutes = 180\ndifference = true\n",
    '[[transfer]]\nname = "After {partner}"\nbefore = {{ operators = ["{partner}"] }}\nwindow_from = "exit"\n'
    'window_minutes = 120\nless = "0.80"\n',
    "",
)

SUBSIDIES = (
    '[classes.senior.subsidy]\npayer = "london"\npercent = 60\n',
    '[classes.senior.subsidy]\npayer = "beijing"\namount = "0.45"\n[classes.child.subsidy]\npayer = "london"\n'
    'percent = 100\nresidents = ["london"]\n',
    "",
)

NUMBERS = count(1)


def random_source(dice: Random, operator: str, partner: str, currency: str) -> TariffSource:
    """A tariff of rules drawn by lot, in the order in which they must stand in the file."""
    short = dice.sample(SHORT_RULES, dice.randint(1, 4))
    if dice.random() < 0.4:
        short.insert(0, dice.choice(PARTNER_RULES).format(partner=partner))
    rules = [*short, dice.choice(LONG_RULES), dice.choice(ROLLING)]
    top = 'media = ["code", "cash"]\n' if any("media" in rule for rule in rules) else ""
    text = HEAD.format(operator=operator, currency=currency, top=top, subsidy=dice.choice(SUBSIDIES))
    text += dice.choice(BASES) + dice.choice(ENDS)
    for rule in rules:
        text += rule.replace("{operator}", operator).replace("{stop}", STOPS[1])
    return TariffSource(text, {})


@dataclass
class Operator:
    """One operator with its tariff and gates at every stop."""

    operator_id: str
    tariff: Tariff
    pricer: Pricer


def open_town(ctx: Context) -> League:
    """A league with the city of these tests, and rates of exchange for its days."""
    league = League(ctx)
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder(CITY)))
        for day in range(-40, 40):
            rates = [("GBP", "EUR", RATE), ("GBP", "CNY", Fraction(9)), ("EUR", "CNY", Fraction(15, 2))]
            payments.set_rates(tx, FIRST_DAY + timedelta(days=day), rates)
    return league


def open_operator(league: League, source: TariffSource) -> Operator:
    """An operator of the town by its tariff: a member with gates at every stop."""
    tariff = read_source(source)
    name, city = tariff.operator_id, trust.MemberId(CITY)
    member = trust.MemberId(name)
    gates: list[trust.GateRecord] = []
    for stop in STOPS:
        for action in ("entry", "exit"):
            assert action in ("entry", "exit")
            gate_id = f"{name}/{stop}/{action}"
            gates.append(trust.GateRecord(gate_id, member, CITY, stop, None, action, "metro"))
            league.gates[name, stop, action] = gate_id
    with league.ctx.tx() as tx:
        trust.add_members(tx, [trust.Member(member, name, "operator", CITY, city, f"bank-{name}")])
        trust.add_gates(tx, gates)
        rides.import_tariff(tx, tariff)
    return Operator(name, tariff, Pricer(tariff, network_of("london-tfl")))


def open_operators(ctx: Context, seed: int) -> tuple[League, list[Operator]]:
    """Two operators of one city, new ones for each seed, whose tariffs know of each other."""
    league, number, dice = open_town(ctx), next(NUMBERS), Random(seed)
    names = (f"metro-{number}", f"tram-{number}")
    sources = [
        random_source(dice, name, partner, dice.choice(("GBP", "EUR")))
        for name, partner in (names, names[::-1])
    ]
    return league, [open_operator(league, source) for source in sources]


def random_taps(
    league: League, operators: Sequence[Operator], dice: Random, cti: bytes, *, days: int = 7
) -> list[Tap]:
    """Rides of some days on both operators: some go over the edge of a day, some lack a tap, some have a companion."""
    taps: list[Tap] = []
    usual = dice.sample(STOPS, 2)
    for number in range(days):
        day = FIRST_DAY + timedelta(days=number)
        clock = datetime(day.year, day.month, day.day, dice.choice((4, 6, 20)), tzinfo=UTC)
        for second in range(dice.randint(0, 4)):
            clock += timedelta(minutes=dice.randint(10, 130), seconds=1 + second)
            operator = dice.choice(operators).operator_id
            origin, destination = usual if dice.random() < 0.5 else dice.sample(STOPS, 2)
            companion = 1 if dice.random() < 0.08 else 0
            minutes = dice.randint(4, 70)
            pair = league.ride(
                operator, origin, destination, clock, cti, minutes=minutes, companion=companion
            )
            taps += pair if dice.random() < 0.85 else [dice.choice(pair)]
    return taps


# -- the reference ------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A ride that was made, in the reference."""

    operator: Operator
    journey: Journey
    day: date
    fare: Fare | None = None


@dataclass
class Rider:
    """What the reference knows of a rider. passes: those held in the end, by operator."""

    rider_class: str
    residence: str
    passes: dict[str, list[HeldPass]] = field(default_factory=dict[str, list[HeldPass]])


def reference(
    operators: Sequence[Operator], taps: Iterable[Tap], rider: Rider
) -> dict[JourneyId, tuple[Journey, Fare]]:
    """Each ride of an account with its fare, as it comes to when it is priced at the moment it begins."""
    made: list[Made] = []
    for operator in operators:
        own = [_touch(tap, rider) for tap in taps if tap.gate_id.startswith(f"{operator.operator_id}/")]
        for journey in rides.pair_taps(own, journey_max=operator.tariff.journey_max):
            day = service_day(journey.started_at, operator.tariff.tz, operator.tariff.day_starts)
            made.append(Made(operator, _told(operator, journey), day))
    made.sort(key=lambda one: (one.journey.started_at, one.journey.journey_id.bytes))
    for place, one in enumerate(made):
        one.fare = _price(one, made[:place], rider)
    return {one.journey.journey_id: (one.journey, one.fare) for one in made if one.fare is not None}


def _price(one: Made, before: Sequence[Made], rider: Rider) -> Fare:
    operator, day = one.operator, one.day
    mine = [other for other in before if other.operator is operator]
    today = [other.journey for other in mine if other.day == day]
    named = frozenset[str]().union(*(rule.before.operators for rule in operator.tariff.transfers))
    partners = [other for other in before if other.operator.operator_id in named - {operator.operator_id}]
    around = Around(
        others=tuple(_as_partner(other) for other in partners if _on(operator, other, day)),
        paid={
            other.journey.journey_id: _in_currency(other.fare, operator.tariff.currency)
            for other in partners
            if other.fare is not None
        },
        passes=tuple(
            held
            for held in rider.passes.get(operator.operator_id, [])
            if held.from_day <= day <= held.until_day
        ),
        residence=rider.residence,
        earlier=tuple(
            other.journey
            for other in mine
            if other.day == day - timedelta(days=1) and not other.journey.companion
        )
        if "earlier" in operator.tariff.asks
        else (),
        habits=_habits([*today, one.journey], day, mine),
    )
    return operator.pricer.price_day([*today, one.journey], _counters(operator.tariff, day, mine), around)[-1]


def _as_partner(other: Made) -> Journey:
    return replace(other.journey, operator_id=other.operator.operator_id)


def _on(operator: Operator, other: Made, day: date) -> bool:
    return service_day(other.journey.started_at, operator.tariff.tz, operator.tariff.day_starts) == day


def _in_currency(fare: Fare, currency: str) -> int:
    rate = RATE if fare.currency == "GBP" else 1 / RATE
    return payments.quote(Money(fare.whole_minor, fare.currency), currency, rate).minor


def _habits(today: Sequence[Journey], day: date, mine: Sequence[Made]) -> dict[str, dict[str, int]]:
    """Of rides that lack a tap: the other ends of the holder's rides at the known stop on earlier days."""
    habits: dict[str, dict[str, int]] = {}
    asked = {one.origin or one.destination for one in today if one.kind in ("no_exit", "no_entry")}
    for other in mine:
        ride = other.journey
        recent = timedelta(0) < day - other.day <= timedelta(days=HABIT_DAYS)
        if not recent or ride.kind != "complete" or ride.companion:
            continue
        for here, there in {(ride.origin, ride.destination), (ride.destination, ride.origin)}:
            if here is not None and there is not None and here in asked:
                ends = habits.setdefault(here, {})
                ends[there] = ends.get(there, 0) + 1
    return habits


def _counters(tariff: Tariff, day: date, mine: Sequence[Made]) -> Counters:
    """What earlier days used up, counter by counter."""
    earlier = [(one.day, one.journey, one.fare) for one in mine if one.day < day and one.fare is not None]
    month = [(on, j, f) for on, j, f in earlier if (on.year, on.month) == (day.year, day.month)]
    week = [(on, j, f) for on, j, f in earlier if on >= day - timedelta(days=day.weekday())]
    plain: dict[tuple[str, str], int] = {}
    for _, journey, fare in {"week": week, "month": month, None: []}[tariff.period]:
        name = journey.product, fare.zones
        plain[name] = plain.get(name, 0) + fare.counted_minor
    counts: dict[str, int] = {}
    carnets: dict[str, list[int]] = {}
    for period in tariff.counted:
        if period == "week":
            of_period = week
        elif period == "month":
            of_period = month
        else:
            of_period = _of_window(period, day, earlier)
        for _, _, fare in of_period:
            for name, minor in fare.counts.items():
                if not name.startswith(f"{period}:"):
                    continue
                counts[name] = counts.get(name, 0) + minor
                if ":carnet " in name:
                    carnets.setdefault(name, []).append(minor)
    for _, _, fare in earlier if tariff.hour_periods else ():
        for name, minor in fare.counts.items():
            if "h@" in name:
                counts[name] = counts.get(name, 0) + minor
    return Counters(
        sum(fare.tier_minor for _, _, fare in month) if tariff.tiers else 0,
        plain,
        0,
        counts,
        {name: tuple(minors) for name, minors in carnets.items()},
    )


def _of_window(
    period: str, day: date, earlier: Sequence[tuple[date, Journey, Fare]]
) -> list[tuple[date, Journey, Fare]]:
    ridden = {on: 1 for on, _, fare in earlier if any(name.startswith(f"{period}:") for name in fare.counts)}
    opened = open_window(ridden, int(period[:-1]), day)
    return [] if opened is None else [one for one in earlier if one[0] >= opened]


def _told(operator: Operator, journey: Journey) -> Journey:
    asks, network = operator.tariff.asks, network_of("london-tfl")
    more: dict[str, object] = {}
    if "operator_id" in asks:
        more["operator_id"] = operator.operator_id
    if "medium" in asks:
        more["medium"] = "code"
    if "distance_m" in asks and journey.kind == "complete":
        assert journey.origin is not None and journey.destination is not None
        more["distance_m"] = network.distance_m(journey.origin, journey.destination)
    return replace(journey, **more) if more else journey  # type: ignore[arg-type]


def _touch(tap: Tap, rider: Rider) -> Touch:
    _, stop, action = tap.gate_id.split("/", 1)[0], tap.stop_id, tap.action
    return Touch(
        tap_id=tap.tap_id,
        gate_id=tap.gate_id,
        sequence=tap.sequence,
        action=action,
        stop_id=stop,
        line_id=None,
        product="metro",
        tapped_at=tap.tapped_at,
        cti=tap.cti,
        rider_class=rider.rider_class if not tap.companion else "adult",  # type: ignore[arg-type]
        companion=tap.companion,
    )
