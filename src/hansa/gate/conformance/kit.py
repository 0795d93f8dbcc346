"""What the kit asks a verifier, and what the answer must be: the same for the same seed.

Most verdicts are written down beside their case. For codes with one fault among thousands (every bit flipped, every
length cut, random changes) only the refusal is certain; which reason comes first is taken from our own gate, and a
second verifier, in JavaScript, agrees on each.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hansa.gate.conformance import forgeries, rules, signed_lists
from hansa.gate.conformance.bench import Bench, Question

KIT_VERSION = 2
"""Grows when a question takes another form: 2 signs what is added to the deny list, and settings."""

AREAS = (
    ("honest", rules.honest),
    ("replay", rules.replay),
    ("clock", rules.clock),
    ("token", rules.token_life),
    ("issuer", rules.issuers),
    ("product", rules.products),
    ("companion", rules.companions),
    ("digits", rules.digits),
    ("place", rules.places),
    ("denied", rules.denied),
    ("offline", rules.offline),
    ("list", rules.lists),
    ("update", signed_lists.updates),
    ("settings", signed_lists.settings),
    ("order", rules.order),
    ("forged", forgeries.forged),
    ("twin", forgeries.twins),
    ("text", forgeries.texts),
    ("canonical", forgeries.not_canonical),
    ("header", forgeries.headers),
    ("field", forgeries.fields),
    ("spoilt", forgeries.spoilt),
)


def questions(seed: int = 1) -> list[Question]:
    """All questions, in the order in which they are asked."""
    bench = Bench(seed)
    return [
        replace(question, case=f"{area}/{question.case}") for area, ask in AREAS for question in ask(bench)
    ]


def kit_lines(seed: int = 1) -> Iterator[str]:
    """The kit as a file: JSON lines, first what it is, then the questions."""
    asked = questions(seed)
    about = {
        "kit": "HRC-1",
        "version": KIT_VERSION,
        "seed": seed,
        "questions": len(asked),
        "about": "Each line is one question to a verifier of ride codes; see docs/ride-code/conformance.md.",
    }
    yield json.dumps(about)
    for number, question in enumerate(asked, 1):
        yield json.dumps({"id": number, **question.ask, "case": question.case, "expect": question.expect})


def read_kit(lines: Iterable[str]) -> list[Question]:
    """The questions of a kit's file. Errors: ValueError says which line cannot be used."""
    asked: list[Question] = []
    for place, line in enumerate(lines):
        try:
            fields = json.loads(line)
            if place == 0:
                if (fields["kit"], fields["version"]) != ("HRC-1", KIT_VERSION):
                    raise ValueError("it is a kit of another kind")
                continue
            case, expect = str(fields.pop("case")), str(fields.pop("expect"))
            del fields["id"]
            asked.append(Question(case, expect, fields))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"Line {place + 1} is no line of a kit: {error}.") from None
    return asked
