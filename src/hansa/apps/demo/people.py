"""The residents of the demonstration league: who they are, where they spend the day, what is in their wallet."""

from dataclasses import dataclass
from random import Random
from uuid import UUID

from hansa.apps.demo.spec import LeagueFacts, Spec
from hansa.codes import RiderClass
from hansa.kernel import fact_id

_GIVEN = {
    "beijing": ["Wei", "Fang", "Min", "Jing", "Lei", "Yan", "Tao", "Na", "Jun", "Xiu"],
    "hong-kong": ["Ka-ming", "Wing-yan", "Chi-wai", "Mei-ling", "Tsz-ho", "Sau-fong", "Ho-yin", "Lok-yi"],
    "london": ["Amelia", "Oliver", "Priya", "Kwame", "Zofia", "George", "Aisha", "Noah", "Grace", "Tariq"],
    "hangzhou": ["Xin", "Hui", "Qing", "Bo", "Lan", "Peng", "Ting", "Yu", "Chen", "Rui"],
    "toronto": ["Liam", "Chloe", "Arjun", "Mei", "Mateo", "Fatima", "Ethan", "Nadia", "Sophie", "Dylan"],
    "utsunomiya": ["Haruto", "Yui", "Sota", "Aoi", "Ren", "Hina", "Kaito", "Sakura"],
}
_FAMILY = {
    "beijing": ["Wang", "Li", "Zhang", "Liu", "Chen", "Yang", "Zhao", "Huang", "Zhou", "Wu"],
    "hong-kong": ["Chan", "Leung", "Cheung", "Lau", "Wong", "Ng", "Cheng", "Ho"],
    "london": ["Smith", "Okafor", "Patel", "Kowalska", "Jones", "Brown", "Khan", "Evans", "Murphy", "Walker"],
    "hangzhou": ["Shen", "Xu", "Zhu", "Qian", "Sun", "Hu", "Lin", "He", "Gao", "Luo"],
    "toronto": ["Tremblay", "Singh", "Campbell", "Nguyen", "Roy", "Martin", "Garcia", "Wilson", "Ali", "Lee"],
    "utsunomiya": ["Sato", "Suzuki", "Takahashi", "Tanaka", "Watanabe", "Ito", "Kobayashi", "Kato"],
}
_CLASSES: tuple[RiderClass, ...] = ("adult", "student", "senior", "child")
_CLASS_WEIGHTS = (78, 9, 8, 5)

# What a rider keeps in the wallet, in units of the home currency: enough for days of riding.
_PURSE = {"CNY": 220, "HKD": 260, "GBP": 60, "JPY": 6_000, "CAD": 70}


@dataclass(frozen=True, slots=True)
class Rider:
    """A resident and the city they spend the day in.

    purse_minor: what they top up before the day, in minor units of the home currency.
    lent: they carry hardly anything, so their fares fall to the issuer's risk account.
    month_share, week_share: how much of a monthly tier or weekly cap earlier days used up, 0 to 1.2.
    """

    number: int
    account_id: UUID
    name: str
    home: str
    here: str
    rider_class: RiderClass
    purse_minor: int
    month_share: float
    week_share: float


def make_riders(
    spec: Spec, league: LeagueFacts, exponents: dict[str, int], home_currency: dict[str, str]
) -> list[Rider]:
    """The same people for the same spec. exponents: by currency. home_currency: by city."""
    return [_rider(number, spec, league, exponents, home_currency) for number in range(spec.riders)]


def _rider(
    number: int, spec: Spec, league: LeagueFacts, exponents: dict[str, int], home_currency: dict[str, str]
) -> Rider:
    dice = Random(f"hansa/{spec.seed}/rider/{number}")
    cities = [city.city_id for city in league.cities]
    home = dice.choices(cities, [city.share for city in league.cities])[0]
    here = home
    if dice.random() < 0.38:
        away = [city for city in league.cities if city.city_id != home]
        here = dice.choices([city.city_id for city in away], [city.visitors for city in away])[0]
    currency = home_currency[home]
    units = 0.2 if dice.random() < 0.006 else _PURSE[currency] * (0.7 + dice.random())
    return Rider(
        number=number,
        account_id=fact_id(None, "hansa.demo.rider", spec.seed, number),
        name=_name(dice, home),
        home=home,
        here=here,
        rider_class=dice.choices(_CLASSES, _CLASS_WEIGHTS)[0],
        purse_minor=max(1, int(units * 10 ** exponents[currency])),
        month_share=dice.random() * 1.2 if dice.random() < 0.6 else 0.0,
        week_share=dice.random() * 1.05 if dice.random() < 0.3 else 0.0,
    )


def _name(dice: Random, home: str) -> str:
    given, family = dice.choice(_GIVEN[home]), dice.choice(_FAMILY[home])
    return (
        f"{family} {given}"
        if home in ("beijing", "hangzhou", "hong-kong", "utsunomiya")
        else f"{given} {family}"
    )
