"""What to do about an error: the remedy of its page, the next step as one word, and what a person is shown.

An error's own class says it (`remedy`, `next_action`, `user_message`, or a docstring that goes on after its first
sentence); for those that do not, `remedies.toml` does, by code.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hansa.kernel import HansaError

FILE = Path(__file__).resolve().parent / "remedies.toml"

NEXT_ACTIONS = {
    "fix_request": "Change what `violations` names, or `detail` says, and send it again.",
    "sign_in": "Send a valid key, or let the person sign in.",
    "ask_permission": "Use a key that holds the scope, or that speaks for the member.",
    "ask_someone_else": "Let another person do this step.",
    "approve": "Let the payer approve first, on the page that the answer leads to.",
    "top_up": "Let the payer put money in, or ask for less; then make a new request.",
    "quote": "Ask for a quote, and pay from a wallet in another currency.",
    "check_id": "Check the id, and whose it is.",
    "read_again": "Read the thing again: it has changed, or is decided.",
    "use_new_id": "Make a new id, or a new idempotency key, for a new request.",
    "retry": "Send the same request again, with the same ids, after `Retry-After` or a moment.",
    "unfreeze": "Let the person unfreeze their account, where they froze it.",
    "announce": "Announce the payment at the mandate's pulls; it is taken when it is due.",
    "see_limits": "Let the person see their limits, and raise the one that `detail` names.",
    "prove_name": "Let the person prove their name, at /wallet/me/name.",
    "invite_guardian": "Let the person invite a guardian, at /wallet/me/guardians.",
    "set_pin": "Let the person set a payment PIN first.",
    "verify": "Let the person prove with a passkey who they are, then do it again.",
    "show_fresh_code": "Let the person show a fresh code.",
    "connect_phone": "Let the person connect the phone anew.",
    "contact_issuer": "Let the person ask their issuer.",
    "contact_us": "Tell whoever runs this Hansa, and quote `instance`.",
    "none": "Nothing more can be done with this request.",
}
"""The words of ``next_action``; the list only grows."""

_BY_STATUS = {
    400: "fix_request",
    401: "sign_in",
    402: "top_up",
    403: "ask_permission",
    404: "check_id",
    409: "read_again",
    410: "none",
    429: "retry",
    500: "contact_us",
    502: "retry",
    503: "retry",
    504: "retry",
    507: "retry",
}

_TO_PERSONS = {
    "fix_request": "Something that was entered does not fit. Please check it and try again.",
    "sign_in": "Please sign in first.",
    "ask_permission": "You may not do this with this sign-in.",
    "ask_someone_else": "Another person must look at this.",
    "approve": "Please approve this payment first.",
    "top_up": "There is not enough money in this wallet. Top it up first.",
    "quote": "You have no wallet in this currency. You can pay from another one at a fixed rate.",
    "check_id": "This was not found.",
    "read_again": "This has changed in the meantime. Please look at it again.",
    "use_new_id": "This was sent before with other content. Please begin again.",
    "retry": "This cannot be done just now. Nothing happened to your money. Please try again in a moment.",
    "unfreeze": "You froze your account. Unfreeze it first.",
    "announce": "The payee has to announce this payment first.",
    "see_limits": "This is over one of your limits. You can change your limits.",
    "prove_name": "Please prove your name first.",
    "invite_guardian": "Please invite a guardian first.",
    "set_pin": "Please set a payment PIN first.",
    "verify": "Please show with your passkey that it is you.",
    "show_fresh_code": "Please show a fresh code.",
    "connect_phone": "Please connect this phone anew.",
    "contact_issuer": "Please ask your issuer.",
    "contact_us": "Something broke on our side. Please try again; if it stays, tell us.",
    "none": "This cannot be done any more.",
}

_NEXT_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


@dataclass(frozen=True, slots=True)
class Remedy:
    """A row of the file; what it leaves empty, the class or the status says."""

    says: str = ""
    next_action: str = ""
    user: str = ""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def params() -> dict[str, str]:
    """The field that an error is always about, by code."""
    return _file()["params"]


@cache
def remedies() -> dict[str, Remedy]:
    """The file, by code."""
    rows = _file()["remedy"]
    found: dict[str, Remedy] = {}
    for row in rows:
        one = Remedy(row.get("says", ""), row.get("next", ""), row.get("user", ""))
        for code in row["codes"]:
            assert code not in found, f"{code} stands twice in {FILE.name}"
            found[code] = one
    return found


def meaning_of(error: type[HansaError]) -> list[str]:
    """The sentences of the first paragraph of its docstring: the fact first."""
    text = " ".join((error.__doc__ or "").strip().split("\n\n")[0].split())
    return [one for one in _NEXT_SENTENCE.split(text) if one]


def remedy_of(error: type[HansaError]) -> str:
    """What to do about it, in a sentence or two; empty where nobody has said it, which a test finds."""
    own = str(getattr(error, "remedy", ""))
    return own or remedies().get(error.code, Remedy()).says or " ".join(meaning_of(error)[1:])


def next_action_of(error: type[HansaError], status: int | None = None) -> str:
    """One of ``NEXT_ACTIONS``. status: where it is not the error's own."""
    own = str(getattr(error, "next_action", "")) or remedies().get(error.code, Remedy()).next_action
    return own or _BY_STATUS.get(status or error.status, "fix_request")


def user_message_of(error: type[HansaError], status: int | None = None) -> str:
    """What a person may be shown, in English: it tells nothing of programs."""
    own = str(getattr(error, "user_message", "")) or remedies().get(error.code, Remedy()).user
    return (
        own
        or _TO_PERSONS.get(next_action_of(error, status))
        or _TO_PERSONS[_BY_STATUS.get(status or error.status, "fix_request")]
    )


def user_messages() -> set[str]:
    """Every sentence of the file and of ``next_action``: what other languages have to say too."""
    return set(_TO_PERSONS.values()) | {one.user for one in remedies().values() if one.user}
