"""The order of rules, and what each of them says to the rider in two languages."""

from datetime import timedelta

from fares.cases import CLASSES, TUESDAY, Town, ride, tariff_with
from hansa.fares import Around, Counters, HeldPass, Pricer, Step
from hansa.fares.wording import RULES

STREET = Town({"a": 0, "b": 4_000, "c": 9_000}, {"a": "1", "b": "2", "c": "3"})

ALL = """
[[fee]]
name = "Discounted fee"
amount = "0.20"
discounts = true
tiers = true
caps = true
[[fee]]
name = "Station fee"
amount = "0.70"
most = { period = "day", amount = "1.00" }
[[discount]]
name = "Early"
percent = 90
products = ["metro"]
[[transfer]]
name = "Change"
window_from = "exit"
window_minutes = 30
percent = 80
[[pass]]
name = "Half card"
percent = 50
[[tier]]
period = "month"
from = "1.00"
percent = 80
[[cap]]
period = "day"
amount = "4.00"
[[cap]]
period = "week"
amount = "6.00"
[[cap]]
name = "Seven days"
period = "7 days"
amount = "7.00"
"""
BASIS = """[basis]
kind = "distance"
[[basis.band]]
up_to_m = 5000
fare = "4.00"
[[basis.band]]
up_to_m = 9000
fare = "16.00"
"""
SUBSIDISED = CLASSES.replace(
    "[classes.child]\npercent = 50",
    '[classes.child]\npercent = 50\nsubsidy = { payer = "lyon-city", percent = 25 }',
)


def test_rules_come_in_the_order_that_the_manual_states() -> None:
    pricer = Pricer(tariff_with(ALL, basis=BASIS, classes=SUBSIDISED), STREET)
    rides = [
        ride(pricer.tariff, "08:00-08:20 metro a>b class=child"),
        ride(pricer.tariff, "08:30-09:10 metro a>c class=child"),
    ]
    around = Around(passes=(HeldPass("Half card", TUESDAY, TUESDAY + timedelta(days=30)),))
    before = Counters(
        month_minor=500,
        period_minor={("metro", ""): 300},
        counts={"7d:cover ": 500, "7d:cover Seven days": 0},
    )

    first, second = pricer.price_day(rides, before, around)

    # 4.00 half is 2.00; with the fee 2.20; 90 % is 1.98; the pass halves it: 0.99; 80 % is 0.79; 25 % of 1.49 is paid
    # by the city: 0.37 (half to even)
    assert said(first) == [
        ("ride", 0),
        ("distance", 400),
        ("class", -200),
        ("fee", 20),
        ("discount", -22),
        ("pass", -99),
        ("fee", 70),
        ("tier", -20),
        ("subsidy", -37),
    ]
    # 16.00 half is 8.00; 8.20; 7.38; as a transfer 5.90; halved 2.95; then 0.30 of the station's fee; 80 % of 2.95 is
    # 2.36; the day holds 4.00 - 0.79 = 3.21; the week 6.00 - 3.79 = 2.21; the seven days 7.00 - 5.79 = 1.21
    assert said(second) == [
        ("ride", 0),
        ("distance", 1_600),
        ("class", -800),
        ("fee", 20),
        ("discount", -82),
        ("transfer", -148),
        ("pass", -295),
        ("fee", 70),
        ("fee_most", -40),
        ("tier", -59),
        ("cap", -15),
        ("cap", -100),
        ("subsidy", -38),
    ]
    assert [step.facts["label"] for step in second.steps if step.rule == "cap"] == [
        "Weekly cap",
        "Seven days",
    ]


def said(fare: object) -> list[tuple[str, int]]:
    return [(step.rule, step.amount) for step in getattr(fare, "steps", ())]


SAYINGS = {
    # rule: amount, figures, English, Chinese
    "ride": (
        0,
        {"from": "A", "to": "B", "distance_m": 12_500},
        "A to B: 12,500 m over the network",
        "A 至 B：路网里程 12,500 米",
    ),
    "distance": (
        300,
        {"over_m": 6_000, "up_to_m": 12_500, "band": "peak", "class": "adult"},
        "6–12.5 km band, peak adult: €3.00",
        "6–12.5 公里段（高峰，成人）：€3.00",
    ),
    "rate": (
        203,
        {"metres": 5_300, "base_minor": 108, "class": "adult"},
        "€1.08 and 5.3 km, adult: €2.03",
        "起价 €1.08，5.3 公里（成人）：€2.03",
    ),
    "zones": (350, {"zones": "1-2", "class": "adult"}, "Zones 1–2, adult: €3.50", "1–2 区（成人）：€3.50"),
    "zone_set": (380, {"zones": "AB", "class": "adult"}, "Zones AB, adult: €3.80", "AB 区（成人）：€3.80"),
    "zone_count": (
        150,
        {"count": 1, "class": "adult"},
        "1 zone, adult: €1.50",
        "经过 1 个票区（成人）：€1.50",
    ),
    "line": (
        120,
        {"name": "Bus", "line": "7", "class": "adult"},
        "Bus: Line 7, adult: €1.20",
        "Bus：7 线（成人）：€1.20",
    ),
    "pair": (490, {"class": "senior"}, "Fare table, senior: €4.90", "票价表（长者）：€4.90"),
    "flat": (200, {"class": "adult"}, "Flat fare, adult: €2.00", "单一票价（成人）：€2.00"),
    "override": (
        2_500,
        {"name": "Airport", "class": "adult"},
        "Airport, adult: €25.00",
        "Airport（成人）：€25.00",
    ),
    "same_stop": (0, {}, "In and out at the same stop: €0.00", "同站进出：€0.00"),
    "class": (-100, {"class": "child", "percent": 50}, "Child pays 50 %: −€1.00", "儿童付 50%：−€1.00"),
    "class_flat": (
        -130,
        {"class": "senior", "fare_minor": 200},
        "Senior fare is €2.00: −€1.30",
        "长者票价为 €2.00：−€1.30",
    ),
    "discount": (
        -50,
        {"name": "Early", "percent": 70},
        "Early, 70 % is paid: −€0.50",
        "Early，付 70%：−€0.50",
    ),
    "transfer": (
        -200,
        {"since_minutes": 12, "window_minutes": 60, "window_from": "exit", "percent": 0},
        "Transfer 12 minutes after the last exit, free within 60 minutes: −€2.00",
        "上次出站后 12 分钟换乘，60 分钟内免费：−€2.00",
    ),
    "join": (
        -109,
        {"name": "One journey", "rides": 2, "paid_minor": 109},
        "One journey: 2 rides are one fare, of which €1.09 is charged already: −€1.09",
        "One journey：2 程合并计价，已付 €1.09：−€1.09",
    ),
    "fee": (70, {"name": "Station"}, "Station: €0.70", "Station：€0.70"),
    "fee_most": (
        -40,
        {"name": "Station", "most_minor": 100, "period": "week"},
        "Station is €1.00 a week at most: −€0.40",
        "Station每周最多 €1.00：−€0.40",
    ),
    "pass": (-200, {"name": "Month", "percent": 0}, "With Month: −€2.00", "持有Month：−€2.00"),
    "tier": (
        -100,
        {"rides": 9, "from_rides": 8, "percent": 50, "period": "week"},
        "9 trips this week; after 8, rides cost 50 %: −€1.00",
        "本周已乘 9 次；满 8 次后付 50%：−€1.00",
    ),
    "cap": (
        -120,
        {"label": "Daily cap", "cap_minor": 810, "beyond_minor": 440},
        "Daily cap €8.10, and €4.40 for the zones beyond: −€1.20",
        "Daily cap €8.10，区外另付 €4.40：−€1.20",
    ),
    "carnet": (
        -80,
        {"name": "Four rides", "rides": 4, "fare_minor": 900},
        "Four rides, 4 rides for €9.00, is cheaper: −€0.80",
        "按Four rides（4 次 €9.00）更划算：−€0.80",
    ),
    "subsidy": (
        -100,
        {"payer": "lyon", "percent": 50},
        "lyon pays 50 % of it: −€1.00",
        "由 lyon 支付 50%：−€1.00",
    ),
    "companion": (
        0,
        {"number": 1, "class": "adult"},
        "Companion 1 rides along, at the adult fare",
        "同行人 1，按成人票价",
    ),
    "incomplete": (
        800,
        {"kind": "no_exit", "stop": "A"},
        "No exit tap; highest fare from A: €8.00",
        "缺出站记录，按 A 的最高票价：€8.00",
    ),
    "habit": (
        0,
        {"kind": "no_exit", "stop": "A", "usual": "B", "times": 9, "of": 10},
        "No exit tap; priced as usual to or from B, as 9 of 10 earlier rides at A; a tap that comes later corrects it",
        "缺出站记录，按惯常站点 B 计价（在 A 的 10 次乘车中有 9 次）；补到记录后自动更正",
    ),
    "held": (
        0,
        {"why": "no way"},
        "Held for the operator, nothing is charged: no way",
        "暂不收费，待运营方处理：no way",
    ),
}


def test_what_each_rule_says_in_english_and_chinese() -> None:
    assert SAYINGS.keys() == RULES
    for rule, (amount, facts, english, chinese) in SAYINGS.items():
        step = Step(rule, amount, "EUR", facts)

        assert (step.text, step.said("zh")) == (english, chinese), rule
