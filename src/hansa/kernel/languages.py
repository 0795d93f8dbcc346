"""Languages: which of those we speak a reader wants."""

from collections.abc import Iterable, Sequence

TAGS_MAX = 32
"""Languages of one header that are looked at; whoever sends more is no browser."""


def accepted_languages(header: str) -> list[str]:
    """The language tags of an ``Accept-Language`` header, the most wanted first; those of weight 0 left out.

    What cannot be read is left out, as if it were not there. Source: RFC 9110, section 12.5.4.
    """
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:TAGS_MAX]):
        tag, _, weight = part.partition(";")
        wanted = _weight(weight)
        if tag.strip() and wanted > 0:
            found.append((-wanted, place, tag.strip()))
    return [tag for _, _, tag in sorted(found)]


def choose_language(wanted: Iterable[str], served: Sequence[str]) -> str:
    """The first wanted language that is served, else the first served one.

    ``zh-Hans-CN`` is answered by ``zh-hans`` or ``zh``, and ``*`` by the first served. Source: RFC 4647, section 3.4.
    """
    known = {one.lower(): one for one in served}
    for tag in wanted:
        if tag == "*":
            return served[0]
        parts = tag.lower().split("-")
        while parts:
            found = known.get("-".join(parts))
            if found is not None:
                return found
            parts.pop()
    return served[0]


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
