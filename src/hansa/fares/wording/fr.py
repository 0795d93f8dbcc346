"""A fare's steps in plain French."""

from collections.abc import Callable

from hansa.fares.wording.fr_names import BANDS, CLASSES, grouped_fr
from hansa.fares.wording.held import why
from hansa.fares.wording.said import Facts, Said, kilometres

_MEASURES = {
    "line": "le long de la ligne",
    "straight": "à vol d’oiseau",
    "given": "mesurés",
    "table": "selon la table de l’exploitant",
}
_UNITS = {"stops": ("arrêt", "arrêts"), "minutes": ("minute", "minutes")}
_SINCE = {
    "next_hour": "l’heure qui suit la première validation",
    "first_tap": "la première validation",
    "last_tap": "la dernière validation",
    "exit": "la dernière sortie",
}
_PERIODS = {"day": "aujourd’hui", "week": "cette semaine", "month": "ce mois-ci"}


def _ride(said: Said) -> str:
    text = f"De {said.facts['from']} à {said.facts['to']}"
    if "via" in said.facts:
        text += f" par {said.facts['via']}"
    if "distance_m" in said.facts:
        measure = _MEASURES.get(str(said.facts.get("measure", "")), "sur le réseau")
        text += f" : {grouped_fr(int(said.facts['distance_m']))} m {measure}"
    for unit in _UNITS:
        if unit in said.facts:
            text += f" : {_counted(int(said.facts[unit]), unit)}"
    return text


def _distance(said: Said) -> str:
    low, high = int(said.facts["over_m"]), int(said.facts["up_to_m"])
    if unit := said.facts.get("unit"):
        if low == 0:
            stretch = f"Jusqu’à {_counted(high, str(unit))}"
        elif high == low + 1:
            stretch = _counted(high, str(unit))
        else:
            stretch = f"De {low + 1} à {_counted(high, str(unit))}"
        return f"{_named(said)}{stretch}{_for(said.facts)} : {said.paid}"
    stretch = f"Jusqu’à {_km(high)} km" if low == 0 else f"Tranche de {_km(low)} à {_km(high)} km"
    return f"{_named(said)}{stretch}{_for(said.facts)} : {said.paid}"


def _zones(said: Said) -> str:
    zones = str(said.facts["zones"])
    name = f"Zones {zones.replace('-', '–')}" if "-" in zones else f"Zone {zones}"
    return f"{_named(said)}{name}{_for(said.facts)} : {said.paid}"


def _zone_set(said: Said) -> str:
    return f"{_named(said)}Zones {said.facts['zones']}{_for(said.facts)} : {said.paid}"


def _zone_count(said: Said) -> str:
    count = int(said.facts["count"])
    return f"{_named(said)}{count} zone{'' if count < 2 else 's'}{_for(said.facts)} : {said.paid}"


def _rate(said: Said) -> str:
    base = f"{said.money('base_minor')} et " if said.facts["base_minor"] else ""
    metres, unit = int(said.facts["metres"]), said.facts.get("unit")
    length = _counted(metres, str(unit)) if unit else f"{_km(metres)} km"
    return f"{_named(said)}{base}{length}{_for(said.facts)} : {said.paid}"


def _line(said: Said) -> str:
    return f"{_named(said)}Ligne {said.facts['line']}{_for(said.facts)} : {said.paid}"


def _pair(said: Said) -> str:
    return f"{_named(said)}Table des prix{_for(said.facts)} : {said.paid}"


def _flat(said: Said) -> str:
    return f"{_named(said)}Prix unique{_for(said.facts)} : {said.paid}"


def _override(said: Said) -> str:
    return f"{said.facts['name']}{_for(said.facts)} : {said.paid}"


def _same_stop(said: Said) -> str:
    return f"Entrée et sortie au même arrêt : {said.paid}"


def _class(said: Said) -> str:
    if said.facts["percent"] == 0:
        return f"Gratuit au tarif {_who(said.facts)} : {said.paid}"
    return f"Le tarif {_who(said.facts)} est de {said.facts['percent']} % : {said.paid}"


def _class_flat(said: Said) -> str:
    return f"Le tarif {_who(said.facts)} est de {said.money('fare_minor')} : {said.paid}"


def _discount(said: Said) -> str:
    share = f", {said.facts['percent']} % à payer" if "percent" in said.facts else ""
    return f"{said.facts['name']}{share} : {said.paid}"


def _transfer(said: Said) -> str:
    facts = said.facts
    if "dearest_minor" in facts:
        price = f"seulement ce qui dépasse {said.money('dearest_minor')}"
    elif "most_minor" in facts:
        price = f"{said.money('most_minor')} au plus pour l’ensemble"
    elif "percent" not in facts:
        price = "moins cher"
    else:
        price = "gratuite" if facts["percent"] == 0 else f"à {facts['percent']} %"
    name = f"{facts['name']} : " if "name" in facts else ""
    since = _SINCE[str(facts.get("window_from", "first_tap"))]
    return (
        f"{name}Correspondance {_counted(int(facts['since_minutes']), 'minutes')} après {since}, "
        f"{price} pendant {_counted(int(facts['window_minutes']), 'minutes')} : {said.paid}"
    )


def _join(said: Said) -> str:
    facts = said.facts
    if "before_minor" in facts:
        return (
            f"{facts['name']} : {facts['rides']} trajets ont un seul prix ; ceux d’avant font "
            f"{said.money('before_minor')} à cette heure : {said.paid}"
        )
    return (
        f"{facts['name']} : {facts['rides']} trajets ont un seul prix, dont {said.money('paid_minor')} "
        f"déjà débités : {said.paid}"
    )


def _fee(said: Said) -> str:
    return f"{said.facts['name']} : {said.paid}"


def _fee_most(said: Said) -> str:
    period = {"day": "par jour", "week": "par semaine", "month": "par mois"}[str(said.facts["period"])]
    return f"{said.facts['name']}, au plus {said.money('most_minor')} {period} : {said.paid}"


def _pass(said: Said) -> str:
    share = f", {said.facts['percent']} % à payer" if said.facts["percent"] else ""
    return f"Avec {said.facts['name']}{share} : {said.paid}"


def _tier(said: Said) -> str:
    facts = said.facts
    period = _PERIODS[str(facts.get("period", "month"))]
    if "rides" in facts:
        return (
            f"{facts['rides']} trajets {period} ; après {facts['from_rides']}, un trajet coûte {facts['percent']} % : "
            f"{said.paid}"
        )
    return (
        f"{said.money('month_minor')} payés {period} ; à partir de {said.money('from_minor')}, un trajet coûte "
        f"{facts['percent']} % : {said.paid}"
    )


def _cap(said: Said) -> str:
    if "beyond_minor" in said.facts:
        return (
            f"{said.facts['label']} {said.money('cap_minor')}, et {said.money('beyond_minor')} pour les zones "
            f"au-delà : {said.paid}"
        )
    return f"{said.facts['label']} {said.money('cap_minor')} : plafond atteint : {said.paid}"


def _carnet(said: Said) -> str:
    facts = said.facts
    return f"{facts['name']}, {facts['rides']} trajets pour {said.money('fare_minor')}, est moins cher : {said.paid}"


def _subsidy(said: Said) -> str:
    share = f"{said.facts['percent']} %" if "percent" in said.facts else "une partie"
    return f"{said.facts['payer']} en paie {share} : {said.paid}"


def _companion(said: Said) -> str:
    return f"L’accompagnant {said.facts['number']} voyage aussi, au tarif {_who(said.facts)}"


def _missing(facts: Facts) -> str:
    return "Pas de validation de sortie" if facts["kind"] == "no_exit" else "Pas de validation d’entrée"


def _habit(said: Said) -> str:
    facts = said.facts
    return (
        f"{_missing(facts)} ; prix habituel avec {facts['usual']}, comme pour {facts['times']} trajets sur "
        f"{facts['of']} à {facts['stop']} ; une validation tardive le corrige"
    )


def _incomplete(said: Said) -> str:
    if "stop" in said.facts:
        return f"{_missing(said.facts)} ; prix le plus élevé depuis {said.facts['stop']} : {said.paid}"
    return f"{_missing(said.facts)} ; prix maximal : {said.paid}"


def _held(said: Said) -> str:
    return f"En attente de l’exploitant, rien n’est débité : {why(said.facts, 'fr')}"


def _named(said: Said) -> str:
    return f"{said.facts['name']} : " if said.facts.get("name") else ""


def _for(facts: Facts) -> str:
    told = [
        named.get(str(facts[key]), str(facts[key]))
        for key, named in (("band", BANDS), ("class", CLASSES))
        if facts.get(key)
    ]
    return f", {', '.join(told)}" if told else ""


def _who(facts: Facts) -> str:
    return CLASSES.get(str(facts["class"]), str(facts["class"]))


def _counted(count: int, unit: str) -> str:
    one, many = _UNITS.get(unit, (unit, unit))
    return f"{grouped_fr(count)} {one if count < 2 else many}"


def _km(metres: int) -> str:
    return kilometres(metres).replace(",", "\u202f").replace(".", ",")


WORDS: dict[str, Callable[[Said], str]] = {
    "ride": _ride,
    "distance": _distance,
    "zones": _zones,
    "zone_set": _zone_set,
    "zone_count": _zone_count,
    "rate": _rate,
    "line": _line,
    "pair": _pair,
    "flat": _flat,
    "override": _override,
    "same_stop": _same_stop,
    "class": _class,
    "class_flat": _class_flat,
    "discount": _discount,
    "transfer": _transfer,
    "join": _join,
    "fee": _fee,
    "fee_most": _fee_most,
    "pass": _pass,
    "tier": _tier,
    "cap": _cap,
    "carnet": _carnet,
    "subsidy": _subsidy,
    "companion": _companion,
    "incomplete": _incomplete,
    "habit": _habit,
    "held": _held,
}
