"""Steps of fares that a city's GTFS feed gives, in plain words."""

from collections.abc import Callable, Mapping

from hansa.fares.wording.said import Said

Words = Mapping[str, Callable[[Said], str]]


def _product(said: Said) -> str:
    return str(said.facts.get("product", ""))


def _before(said: Said) -> str:
    if said.paid.startswith("−"):
        return f"The rides before, already paid: {said.paid}"
    return f"With this ride those before come to more: {said.paid}"


def _before_zh(said: Said) -> str:
    if said.paid.startswith("−"):
        return f"之前行程已付：{said.paid}"
    return f"与本次合计后，之前行程应补：{said.paid}"


def _change(said: Said) -> str:
    return f"Change to {_product(said)}: {said.paid}" if _product(said) else "Change: nothing to pay"


def _change_zh(said: Said) -> str:
    return f"换乘 {_product(said)}：{said.paid}" if _product(said) else "换乘免费"


def _before_fr(said: Said) -> str:
    if said.paid.startswith("−"):
        return f"Les trajets d’avant, déjà payés : {said.paid}"
    return f"Avec ce trajet, ceux d’avant coûtent davantage : {said.paid}"


def _change_fr(said: Said) -> str:
    return (
        f"Correspondance vers {_product(said)} : {said.paid}"
        if _product(said)
        else "Correspondance : rien à payer"
    )


FEED: dict[str, Words] = {
    "en": {
        "feed_join": lambda _: "Counts as one with the ride before: they meet in the same station",
        "feed_leg": lambda said: f"{_product(said)}: {said.paid}",
        "feed_transfer": _change,
        "feed_dropped": lambda said: f"The change takes the place of {_product(said)}: {said.paid}",
        "feed_before": _before,
        "feed_later": lambda said: f"Less, for a later ride of the same journey: {said.paid}",
        "feed_exit": lambda said: (
            f"Where you got off is not known; the dearest ride on line {said.facts['line']}"
        ),
    },
    "zh": {
        "feed_join": lambda _: "与上一程在同站相接，合并计价",
        "feed_leg": lambda said: f"{_product(said)}：{said.paid}",
        "feed_transfer": _change_zh,
        "feed_dropped": lambda said: f"换乘票价取代 {_product(said)}：{said.paid}",
        "feed_before": _before_zh,
        "feed_later": lambda said: f"因同一行程的后续乘车而减收：{said.paid}",
        "feed_exit": lambda said: f"下车站不明，按 {said.facts['line']} 线最高票价计",
    },
    "fr": {
        "feed_join": lambda _: (
            "Ne fait qu’un avec le trajet d’avant : ils se rejoignent dans la même station"
        ),
        "feed_leg": lambda said: f"{_product(said)} : {said.paid}",
        "feed_transfer": _change_fr,
        "feed_dropped": lambda said: f"La correspondance remplace {_product(said)} : {said.paid}",
        "feed_before": _before_fr,
        "feed_later": lambda said: f"En moins, pour un trajet suivant du même voyage : {said.paid}",
        "feed_exit": lambda said: (
            f"On ne sait pas où vous êtes descendu ; prix le plus élevé de la ligne {said.facts['line']}"
        ),
    },
}
"""By language and rule; the steps themselves are made where the feed is priced by (``rides.faresv2``)."""
