"""How taps became a journey, in plain French: the notes of pairing, which move no money."""

from collections.abc import Callable

from hansa.fares.wording.said import Facts, Said

_SIDES = {"entry": "d’entrée", "exit": "de sortie", "board": "de montée"}
_WHY = {
    "sequence": "les validations du portillon avant et après elle",
    "code": "la minute du code du téléphone, entre les validations du portillon avant et après elle",
    "received": "l’heure à laquelle nous l’avons reçue",
}


def _length(seconds: int) -> str:
    """``"45 s"``, ``"3 min"``, ``"2 h 5 min"``; rounded down."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part
    )


def _after(facts: Facts, key: str = "seconds") -> str:
    return _length(int(facts[key]))


def _no_exit(said: Said) -> str:
    facts = said.facts
    match facts["why"]:
        case "entered_again":
            what = f"{_after(facts)} plus tard, une nouvelle entrée à {facts['other']}"
        case "too_late":
            what = (
                f"la sortie suivante est venue {_after(facts)} plus tard, et un trajet dure au plus "
                f"{_after(facts, 'most_seconds')}"
            )
        case "boarded_again":
            what = f"{_after(facts)} plus tard, une nouvelle montée sans validation de descente"
        case _:
            what = f"aucune n’est venue en {_after(facts, 'most_seconds')}"
    return f"Pas de validation de sortie pour l’entrée à {facts['place']} : {what}"


def _no_entry(said: Said) -> str:
    facts = said.facts
    if facts["why"] == "too_late":
        what = (
            f"l’entrée précédente date de {_after(facts)} plus tôt, et un trajet dure au plus "
            f"{_after(facts, 'most_seconds')}"
        )
    else:
        what = "aucune entrée précédente n’est sans sortie"
    return f"Pas de validation d’entrée pour la sortie à {facts['place']} : {what}"


def _across_tokens(_said: Said) -> str:
    return "L’entrée et la sortie ont été faites avec des téléphones différents de ce compte ; c’est un seul trajet"


def _double(said: Said) -> str:
    facts = said.facts
    return f"{facts['times']} validations à {facts['place']} en {_after(facts)} comptent pour une ; la première vaut"


def _vehicle_change(said: Said) -> str:
    facts = said.facts
    line, after = facts["line"], _after(facts)
    return f"Nouvelle montée sur la ligne {line} {after} plus tard, dans un autre véhicule : le même trajet"


def _reentry(said: Said) -> str:
    facts = said.facts
    return (
        f"Sortie à {facts['place']} et retour au même endroit {_after(facts)} plus tard : le trajet continue"
    )


def _stayed(said: Said) -> str:
    facts = said.facts
    return (
        f"Sortie là où le trajet a commencé, à {facts['place']}, après {_after(facts)} ; jusqu’à "
        f"{_after(facts, 'most_seconds')}, on compterait que vous n’avez pas voyagé"
    )


def _interchange(said: Said) -> str:
    return f"Validation à la correspondance {said.facts['place']}, qui prouve le chemin ; le trajet continue"


def _walked(said: Said) -> str:
    facts = said.facts
    return (
        f"À pied de {facts['from']} à {facts['to']} en {_after(facts)}, dans les "
        f"{_after(facts, 'most_seconds')} prévus pour y changer"
    )


def _clock(said: Said) -> str:
    facts = said.facts
    by = int(facts["by_seconds"])
    return (
        f"L’horloge du portillon {facts['gate']} {'retardait' if by > 0 else 'avançait'} de {_length(abs(by))} à "
        f"cette validation {_SIDES[str(facts['side'])]} ; l’heure est corrigée par {_WHY[str(facts['why'])]}"
    )


def _late(said: Said) -> str:
    facts = said.facts
    side = _SIDES[str(facts["side"])]
    return f"La validation {side} à {facts['place']} nous est parvenue {_after(facts)} après avoir été faite"


def _stated(said: Said) -> str:
    facts = said.facts
    what = "commencé" if facts["end"] == "entry" else "fini"
    who = "L’exploitant" if facts["by"] == "operator" else "Le voyageur"
    return f"{who} déclare que le trajet a {what} à {facts['place']} : {facts['reason']}"


def _stated_unused(said: Said) -> str:
    return f"Une validation est finalement venue : ce qui avait été déclaré ({said.facts['place']}) ne compte plus"


WORDS: dict[str, Callable[[Said], str]] = {
    "pairing.no_exit": _no_exit,
    "pairing.no_entry": _no_entry,
    "pairing.across_tokens": _across_tokens,
    "pairing.double": _double,
    "pairing.vehicle_change": _vehicle_change,
    "pairing.reentry": _reentry,
    "pairing.stayed": _stayed,
    "pairing.interchange": _interchange,
    "pairing.walked": _walked,
    "pairing.clock_corrected": _clock,
    "pairing.late_tap": _late,
    "pairing.stated_end": _stated,
    "pairing.stated_unused": _stated_unused,
}
