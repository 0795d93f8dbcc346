"""What a scanned text is, in words: one of our codes and where it leads, or another's and why it is not paid here.

Nothing that a code says is opened, fetched or believed: it names somebody, and the books say who that is.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit
from uuid import UUID

from hansa import codes, merchants
from hansa.apps.web.languages import Words
from hansa.codes import emvco, tickets
from hansa.codes.payer import APPLICATION
from hansa.kernel import Problem, fault_of_text
from hansa.payments.payment_codes_shown import find_shown
from hansa.store import Tx

TEXT_MAX = 4_300
"""Letters that a QR code holds at most, and some."""

Kind = Literal["ours", "foreign", "other", "broken"]

_COUNTRY_OF: dict[str, str] = {
    "Pix": "Brazil",
    "PromptPay": "Thailand",
    "PromptPay bill payment": "Thailand",
    "PayNow": "Singapore",
    "SGQR": "Singapore",
    "QRIS": "Indonesia",
    "VietQR": "Vietnam",
    "QR Ph": "the Philippines",
    "KHQR": "Cambodia",
}

_PERSON = re.compile(r"[0-9A-Z]{5}-[0-9A-Z]{5}", re.ASCII)
"""How a person's code is written, by which they are paid."""

_HOSTS: tuple[tuple[str, str], ...] = (
    ("alipay.com", "Alipay"),
    ("wechat.com", "WeChat Pay"),
    ("qq.com", "WeChat Pay"),
    ("unionpay.com", "UnionPay"),
    ("95516.com", "UnionPay"),
    ("paypal.com", "PayPal"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A scanned text in words. next: where it leads; empty where nowhere. facts: what it says, a name and a value each.

    problems: where it strays from its standard, for whoever made it.
    """

    kind: Kind
    title: str
    words: str
    next: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()


def read_text(tx: Tx, text: str, say: Words, *, host: str = "") -> Reading:
    """What this text is, and where it leads. host: our own, whose addresses in the wallet lead on."""
    text = text.strip()
    if not text:
        return _broken(say("Nothing was read. Scan the code again, or type what stands below it."), say)
    if text.startswith(codes.PREFIX):
        return _other(say("A ride code"), say("Show it to a gate. It pays nothing else."))
    if text.startswith(tickets.PREFIX):
        return _other(say("An entry ticket"), say("Show it at the attraction’s gate. It pays nothing."))
    if text[:6] == "000201" or text[:4] == "0002":
        return _merchant(tx, text, say)
    consumer = _consumer(text, say)
    if consumer is not None:
        return consumer
    own = _own_address(text, host)
    if own:
        return Reading("ours", say("A request for money"), "", next=own)
    if _PERSON.fullmatch(text.upper()):
        return Reading("ours", say("A person"), "", next=f"/wallet/send?to={quote(text)}")
    return _elsewhere(text, say)


def _own_address(text: str, host: str) -> str:
    """The path of an address of ours that is the wallet's, with its query; empty for any other."""
    parts = urlsplit(text[:2_000]) if text.lower().startswith(("http://", "https://")) else None
    if parts is None or not host or parts.netloc.lower() != host.lower():
        return ""
    if not parts.path.startswith("/wallet/"):
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _merchant(tx: Tx, text: str, say: Words) -> Reading:
    """A merchant-presented code, ours or another scheme's."""
    try:
        code = emvco.read_merchant_code(text)
    except emvco.PaymentCodeRefused as refused:
        words = {
            "bad_crc": say("The code was misread or changed: its checksum does not fit. Scan it again."),
            "too_long": say("This is longer than any code."),
        }.get(refused.reason, say("A part of the code is missing. Scan it again, all of it."))
        return Reading("broken", say("The code cannot be read"), words, problems=refused.problems)
    shown = find_shown(code)
    if shown is not None:
        try:
            return _ours(tx, shown.kind, str(shown.id), code, say)
        except (merchants.UnknownMerchant, merchants.UnknownOrder):
            return Reading(
                "broken",
                say("Nobody is known by this code"),
                say(
                    "It looks like one of ours, but no such shop or order is here. Do not pay by other means for it."
                ),
                facts=_facts(code, say),
            )
    name = code.profile.name if code.profile else say("another network")
    country = say(_COUNTRY_OF.get(name, "another country"))
    words = " ".join(
        (
            say("This code is paid through {scheme}, of {country}.", scheme=name, country=country),
            say("Hansa is not connected to it yet, so it cannot be paid from your wallet."),
            say("Ask the shop for a Hansa code, or pay by card or cash."),
        )
    )
    title = say("A code of {scheme}", scheme=name)
    return Reading("foreign", title, words, facts=_facts(code, say), problems=code.problems)


def _ours(tx: Tx, kind: str, subject: str, code: emvco.MerchantCode, say: Words) -> Reading:
    if kind == "order":
        merchants.get_order(tx, UUID(subject))
        return Reading("ours", say("A bill to pay"), "", next=f"/wallet/pay/order/{subject}")
    if kind == "merchant":
        merchants.get_merchant(tx, UUID(subject))
        query = "&".join(
            f"{name}={value}"
            for name, value in (
                ("amount", "" if code.money is None else code.money.decimal()),
                ("till", _query(code.additional.terminal_label)),
                ("bill", _query(code.additional.bill_number)),
            )
            if value
        )
        return Reading(
            "ours", say("A shop"), "", next=f"/wallet/pay/shop/{subject}" + (f"?{query}" if query else "")
        )
    if kind == "person":
        return Reading("ours", say("A person"), "", next=f"/wallet/send?receiver={subject}")
    return Reading("ours", say("A request for money"), "", next=f"/wallet/requests/{subject}")


def _consumer(text: str, say: Words) -> Reading | None:
    """A consumer-presented code: somebody's who wants to pay, so nobody pays it."""
    try:
        code = emvco.read_consumer_code(text)
    except emvco.PaymentCodeRefused:
        return None
    if code.application_id() == APPLICATION:
        return _other(
            say("A payer’s code"),
            say(
                "Somebody pays with it: the shop scans it on its own page. To pay a shop, scan the shop’s code."
            ),
        )
    return _other(
        say("A payer’s code of another network"),
        say("Somebody pays with it at a shop of that network. It asks for no money."),
    )


def _elsewhere(text: str, say: Words) -> Reading:
    """What else people hold before a camera."""
    lower = text.lower()
    parts = urlsplit(lower) if "://" in lower[:40] else None
    host = (parts.hostname or "") if parts is not None else ""
    for ending, scheme in _HOSTS:
        if host == ending or host.endswith(f".{ending}"):
            words = " ".join(
                (
                    say("This code is paid in the app of {scheme}.", scheme=scheme),
                    say("Hansa is not connected to it yet, so it cannot be paid from your wallet."),
                )
            )
            return Reading("foreign", say("A code of {scheme}", scheme=scheme), words)
    kinds: tuple[tuple[tuple[str, ...], str, str], ...] = (
        (
            ("wxp:", "weixin:"),
            say("A code of {scheme}", scheme="WeChat Pay"),
            say("It is paid in that app alone."),
        ),
        (
            ("alipays:", "alipayqr:"),
            say("A code of {scheme}", scheme="Alipay"),
            say("It is paid in that app alone."),
        ),
        (("upi:",), say("A code of {scheme}", scheme="UPI"), say("It is paid in apps of Indian banks.")),
        (
            ("bcd\n", "bcd\r"),
            say("A European bank transfer"),
            say("It is paid from a bank account: open it in your bank’s app."),
        ),
        (
            ("spc\n", "spc\r"),
            say("A Swiss bill"),
            say("It is paid from a bank account: open it in your bank’s app."),
        ),
        (
            ("bitcoin:", "ethereum:", "lightning:"),
            say("A code for a cryptocurrency"),
            say("Hansa pays in money of its cities alone."),
        ),
        (("wifi:",), say("A wireless network"), say("It asks for no money.")),
        (("begin:vcard", "mecard:", "tel:", "mailto:"), say("A contact"), say("It asks for no money.")),
    )
    for beginnings, title, words in kinds:
        if lower.startswith(beginnings):
            return _other(title, words)
    if host:
        words = " ".join(
            (
                say("It leads to {host}.", host=host),
                say("This page opens no addresses: whoever sticks a code over a shop’s own wants you to."),
            )
        )
        return _other(say("A web address"), words)
    return _broken(
        say("It is no payment code that is known here. A shop’s code of Hansa shows its name below."), say
    )


def _facts(code: emvco.MerchantCode, say: Words) -> tuple[tuple[str, str], ...]:
    """What a code says of itself; what is written to mislead the eye is left out, and is one of its problems."""
    money = code.money
    amount = str(money) if money else ("" if code.amount is None else f"{code.amount} {code.currency}")
    found = (
        (say("To"), code.merchant_name),
        (say("In"), ", ".join(one for one in (code.merchant_city, code.country) if one)),
        (say("Amount"), amount),
        (say("Bill number"), code.additional.bill_number if code.additional.bill_number != "***" else ""),
    )
    return tuple((name, value) for name, value in found if value and not fault_of_text(value))


def _query(text: str) -> str:
    return "" if text == "***" else quote(text)


def _other(title: str, words: str) -> Reading:
    return Reading("other", title, words)


def _broken(words: str, say: Words) -> Reading:
    return Reading("broken", say("The code cannot be read"), words)
