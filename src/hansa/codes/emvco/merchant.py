"""Codes that a merchant shows and a payer scans (EMVCo QRCPS Merchant-Presented Mode 1.1)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Literal

from hansa.codes.emvco.currencies import ALPHABETIC, NUMERIC
from hansa.codes.emvco.fields import Field, LengthUnit, PaymentCodeRefused, read_fields, seal, split, write
from hansa.codes.emvco.profiles import Profile, profile_of
from hansa.kernel import CURRENCY_EXPONENTS, Money, Problem, fault_of_text

TipKind = Literal["prompt", "fixed", "percentage"]
"""What a payer is asked for on top: to name it, a fixed amount, a share (55: 01, 02, 03)."""

_TIPS: dict[str, TipKind] = {"01": "prompt", "02": "fixed", "03": "percentage"}
_AMOUNT = re.compile(r"(?=.{1,13}\Z)[0-9]+(\.[0-9]*)?\Z")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_SIZES: dict[str, tuple[int, int]] = {
    "00": (2, 2), "01": (2, 2), "52": (4, 4), "53": (3, 3), "54": (1, 13), "55": (2, 2), "56": (1, 13),
    "57": (1, 5), "58": (2, 2), "59": (1, 25), "60": (1, 15), "61": (1, 10), "63": (4, 4),
}  # fmt: skip
"""Characters that a field may have, from and to (table 3.2)."""
_SIZES_INSIDE: dict[str, dict[str, tuple[int, int]]] = {
    "62": {f"{tag:02}": (1, 25) for tag in range(1, 9)} | {"09": (1, 3)},
    "64": {"00": (2, 2), "01": (1, 25), "02": (1, 15)},
}
"""The same inside a template (tables 3.7 and 3.8)."""
_DIGITS = frozenset(("00", "01", "52", "53", "55"))
_MANDATORY = {
    "52": ("merchant category code", "Write 0000 where there is none"),
    "53": ("transaction currency", "Write the ISO 4217 numeric code"),
    "58": ("country code", "Write the ISO 3166-1 alpha-2 code"),
    "59": ("merchant name", "Write 1 to 25 characters"),
    "60": ("merchant city", "Write 1 to 15 characters"),
}
_ADDITIONAL = {
    "01": "bill_number",
    "02": "mobile_number",
    "03": "store_label",
    "04": "loyalty_number",
    "05": "reference_label",
    "06": "customer_label",
    "07": "terminal_label",
    "08": "purpose",
    "09": "consumer_data",
}
"""Sub-fields of 62 (table 3.7)."""
ASK = "***"
"""A value of additional data that the payer's app is to ask for (MPM 1.1, 4.8)."""


@dataclass(frozen=True, slots=True)
class MerchantAccount:
    """One way to pay the merchant. tag: 02 to 51. identifier: of the scheme; empty for a card scheme's own form.

    values: sub-fields by the scheme's words, else by their tags. profile: whose it is; None where not recognised.
    """

    tag: str
    identifier: str
    value: str
    values: dict[str, str]
    profile: Profile | None


@dataclass(frozen=True, slots=True)
class Tip:
    """What is asked on top of the amount. value: money in whole units, or percent; None where the payer names it."""

    kind: TipKind
    value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AdditionalData:
    """What stands beside a payment (62). Empty where it is not there; `ASK` where the payer is to be asked."""

    bill_number: str = ""
    mobile_number: str = ""
    store_label: str = ""
    loyalty_number: str = ""
    reference_label: str = ""
    customer_label: str = ""
    terminal_label: str = ""
    purpose: str = ""
    consumer_data: str = ""


@dataclass(frozen=True)
class MerchantCode:
    """A merchant-presented code, read. fields: in the order in which they stand. unit: what its lengths count.

    problems: where it does not keep to the standard or to its scheme; empty for a code read strictly.
    """

    text: str
    fields: tuple[Field, ...]
    unit: LengthUnit
    problems: tuple[Problem, ...] = field(default=(), compare=False)

    @cached_property
    def by_tag(self) -> dict[str, Field]:
        """Each field by its tag, the first of two."""
        found: dict[str, Field] = {}
        for one in self.fields:
            found.setdefault(one.tag, one)
        return found

    def get(self, tag: str) -> str:
        """The value of a field at the root; empty where it is not there."""
        found = self.by_tag.get(tag)
        return "" if found is None else found.value

    @property
    def is_dynamic(self) -> bool:
        """Whether it stands for one payment only (01 is 12)."""
        return self.get("01") == "12"

    @cached_property
    def accounts(self) -> tuple[MerchantAccount, ...]:
        """The ways to pay, as they stand."""
        return tuple(_account(one) for one in self.fields if 2 <= int(one.tag) <= 51)

    @cached_property
    def profile(self) -> Profile | None:
        """The scheme of the first account that is recognised. SGQR only binds others together and is named last."""
        found = [one.profile for one in self.accounts if one.profile is not None]
        return next((one for one in found if one.name != "SGQR"), found[0] if found else None)

    @property
    def currency(self) -> str:
        """ISO 4217 alphabetic; empty where there is none or it is not known."""
        return NUMERIC.get(self.get("53"), "")

    @property
    def amount(self) -> Decimal | None:
        """What is to be paid, exactly as written; None where the payer names it, or where it is none."""
        text = self.get("54")
        return Decimal(text) if _AMOUNT.match(text) else None

    @property
    def money(self) -> Money | None:
        """The amount in minor units; None where there is none, or it is finer than its currency."""
        amount, currency = self.amount, self.currency
        if amount is None or not currency:
            return None
        minor = amount.scaleb(CURRENCY_EXPONENTS[currency])
        return Money(int(minor), currency) if minor == int(minor) else None

    @property
    def tip(self) -> Tip | None:
        """What is asked on top; None where nothing is."""
        kind = _TIPS.get(self.get("55"))
        if kind is None:
            return None
        text = self.get("56" if kind == "fixed" else "57")
        return Tip(kind, Decimal(text) if kind != "prompt" and _AMOUNT.match(text) else None)

    @property
    def country(self) -> str:
        return self.get("58")

    @property
    def merchant_name(self) -> str:
        return self.get("59")

    @property
    def merchant_city(self) -> str:
        return self.get("60")

    @property
    def category(self) -> str:
        """ISO 18245 merchant category code."""
        return self.get("52")

    @cached_property
    def additional(self) -> AdditionalData:
        """Bill number and what else stands beside the payment."""
        inner = self.by_tag["62"].inner if "62" in self.by_tag else ()
        return AdditionalData(**{_ADDITIONAL[one.tag]: one.value for one in inner if one.tag in _ADDITIONAL})

    @property
    def local_name(self) -> tuple[str, str, str]:
        """Language (ISO 639-1), name and city in it (64); empty texts where there is none."""
        local = self.by_tag.get("64")
        return ("", "", "") if local is None else (local.get("00"), local.get("01"), local.get("02"))


def read_merchant_code(text: str, *, strict: bool = False) -> MerchantCode:
    """What a scanned merchant-presented code says.

    strict: refuse a code that does not keep to the standard or to its scheme, instead of telling of it in ``problems``.
    Errors: PaymentCodeRefused.
    """
    text = text.strip("\r\n\t ")
    flat, unit = read_fields(text)
    fields = tuple(_opened(one, unit) for one in flat)
    code = MerchantCode(text, fields, unit)
    problems = tuple(_problems(code))
    if strict and problems:
        raise PaymentCodeRefused("not_allowed", problems)
    return MerchantCode(text, fields, unit, problems)


def make_merchant_code(
    accounts: Sequence[Field],
    *,
    name: str,
    city: str,
    country: str,
    currency: str,
    category: str = "0000",
    amount: Money | None = None,
    tip: Tip | None = None,
    postal_code: str = "",
    additional: AdditionalData | None = None,
    local: tuple[str, str, str] = ("", "", ""),
    extra: Sequence[Field] = (),
    dynamic: bool | None = None,
) -> str:
    """A code that keeps to the standard.

    accounts: fields 02 to 51. dynamic: for one payment only; as a rule when it has an amount. local: language, name and
    city in it. extra: fields 65 to 99. Errors: PaymentCodeRefused with each field that is not allowed.
    """
    if amount is not None and amount.currency != currency:
        problem = Problem("54", f"the amount is in {amount.currency}", f"Give it in {currency}")
        raise PaymentCodeRefused("not_allowed", [problem])
    beside = AdditionalData() if additional is None else additional
    inner = tuple(
        Field(tag, getattr(beside, word)) for tag, word in _ADDITIONAL.items() if getattr(beside, word)
    )
    language = tuple(Field(f"{place:02}", one) for place, one in enumerate(local) if one)
    once = amount is not None if dynamic is None else dynamic
    wanted: list[Field] = [
        Field("00", "01"),
        Field("01", "12" if once else "11"),
        *sorted(accounts, key=lambda one: one.tag),
        Field("52", category),
        Field("53", ALPHABETIC.get(currency, "")),
        Field("54", "" if amount is None else amount.decimal()),
        *_tip_fields(tip),
        Field("58", country),
        Field("59", name),
        Field("60", city),
        Field("61", postal_code),
        Field("62", "", inner),
        Field("64", "", language),
        *extra,
    ]
    code = seal(write([one for one in wanted if one.value or one.inner]))
    return read_merchant_code(code, strict=True).text


def _is_template(tag: str) -> bool:
    """Whether a field at the root is made of fields: accounts, additional data, language, and what is unreserved."""
    number = int(tag)
    return 26 <= number <= 51 or number in (62, 64) or 80 <= number <= 99


def _opened(one: Field, unit: LengthUnit) -> Field:
    """A template with what is in it; in additional data also those of payment systems, in an account its scheme's."""
    if not _is_template(one.tag):
        return one
    opened = _with_inner(one, unit)
    if one.tag == "62":
        return replace(
            opened,
            inner=tuple(_with_inner(sub, unit) if int(sub.tag) >= 50 else sub for sub in opened.inner),
        )
    profile = profile_of(one.tag, opened.get("00"))
    if profile is None or not profile.templates:
        return opened
    return replace(
        opened,
        inner=tuple(_with_inner(sub, unit) if sub.tag in profile.templates else sub for sub in opened.inner),
    )


def _with_inner(one: Field, unit: LengthUnit) -> Field:
    """A field with the fields its value is made of; as it is where it is made of none."""
    try:
        return replace(one, inner=split(one.value, unit))
    except ValueError:
        return one


def _tip_fields(tip: Tip | None) -> list[Field]:
    if tip is None:
        return []
    kind = next(text for text, one in _TIPS.items() if one == tip.kind)
    if tip.kind == "prompt":
        return [Field("55", kind)]
    return [Field("55", kind), Field("56" if tip.kind == "fixed" else "57", f"{tip.value or ''}")]


def _account(one: Field) -> MerchantAccount:
    identifier = one.get("00")
    profile = profile_of(one.tag, identifier) if identifier else None
    words = {} if profile is None else profile.fields
    values = {words.get(sub.tag, sub.tag): sub.value for sub in one.inner if sub.tag != "00"}
    for sub in one.inner:
        names = {} if profile is None else profile.templates.get(sub.tag, {})
        values |= {names[deep.tag]: deep.value for deep in sub.inner if deep.tag in names}
    return MerchantAccount(one.tag, identifier, one.value, values, profile)


def _problems(code: MerchantCode) -> Iterator[Problem]:
    """Where a code does not keep to the standard (tables 3.1 to 3.9), then where not to its scheme."""
    fields, by_tag = code.fields, code.by_tag
    if fields[0].tag != "00" or fields[0].value != "01":
        yield Problem("00", "it does not begin with payload format 01", "Write 000201 first")
    if "01" in by_tag and code.get("01") not in ("11", "12"):
        yield Problem(
            "01", f"{code.get('01')!r} is no way to begin", "Write 11 for many payments, 12 for one"
        )
    seen: set[str] = set()
    for one in fields:
        if one.tag in seen:
            yield Problem(one.tag, "it stands there twice", "Write it once")
        seen.add(one.tag)
        yield from _size(one)
        yield from _unseen(one, one.tag)
        yield from _inside(one)
    if not code.accounts:
        yield Problem("02-51", "no account is there to pay to", "Write at least one merchant account")
    for tag, (words, remedy) in _MANDATORY.items():
        if tag not in by_tag:
            yield Problem(tag, f"the {words} is not there", remedy)
    if "58" in by_tag and not _COUNTRY.match(code.get("58")):
        yield Problem("58", f"{code.get('58')!r} is no country", "Write the ISO 3166-1 alpha-2 code")
    yield from _money_problems(code)
    for one in fields:
        if 26 <= int(one.tag) <= 51 and not one.get("00"):
            yield Problem(one.tag, "it names no scheme", "Write the scheme's identifier as sub-field 00")
    yield from _scheme_problems(code)


def _size(one: Field) -> Iterator[Problem]:
    least, most = _SIZES.get(one.tag, (1, 99))
    if not least <= len(one.value) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        yield Problem(one.tag, f"it has {len(one.value)} characters", f"Write {wanted}")
    elif one.tag in _DIGITS and not (one.value.isascii() and one.value.isdigit()):
        yield Problem(one.tag, f"{one.value!r} is no number", "Write digits only")


def _unseen(one: Field, where: str) -> Iterator[Problem]:
    """That a text cannot be what it looks like: letters that are not seen, or that turn the line around."""
    if one.inner:
        for sub in one.inner:
            yield from _unseen(sub, f"{where}-{sub.tag}")
    elif fault := fault_of_text(one.value):
        yield Problem(where, fault, "Write it in letters that are seen")


def _inside(one: Field) -> Iterator[Problem]:
    """Where what is in a template does not keep to the standard (4.8 and tables 3.7 and 3.8)."""
    if one.tag in _SIZES_INSIDE and not one.inner:
        yield Problem(one.tag, "it is not made of fields", "Write tag, length and value of each")
    seen: set[str] = set()
    for sub in one.inner:
        where = f"{one.tag}-{sub.tag}"
        if sub.tag in seen:
            yield Problem(where, "it stands there twice", "Write it once")
        seen.add(sub.tag)
        least, most = _SIZES_INSIDE.get(one.tag, {}).get(sub.tag, (1, 99))
        if not least <= len(sub.value) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            yield Problem(where, f"it has {len(sub.value)} characters", f"Write {wanted}")
    if one.tag == "64" and one.inner and not {"00", "01"} <= seen:
        yield Problem("64", "it lacks the language or the name in it", "Write 64-00 and 64-01")


def _money_problems(code: MerchantCode) -> Iterator[Problem]:
    amount = code.get("54")
    if "53" in code.by_tag and not code.currency:
        yield Problem("53", f"{code.get('53')!r} is no currency", "Write the ISO 4217 numeric code")
    if amount and code.amount is None:
        yield Problem("54", f"{amount!r} is no amount", "Write digits and at most one point: 12.50")
    elif code.amount is not None and code.currency and code.money is None:
        exponent = CURRENCY_EXPONENTS[code.currency]
        yield Problem("54", f"{amount} is finer than {code.currency}", f"Write at most {exponent} decimals")
    elif code.amount == 0:
        yield Problem("54", "the amount is zero", "Leave it out where the payer is to name it")
    kind = code.get("55")
    if kind and kind not in _TIPS:
        yield Problem("55", f"{kind!r} is no kind of tip", "Write 01, 02 or 03")
    for tag, of_kind in (("56", "02"), ("57", "03")):
        given = code.get(tag)
        if kind == of_kind and not _AMOUNT.match(given):
            yield Problem(tag, "the tip's value is not there, or none", f"Write it, as 55 says {of_kind}")
        elif given and kind != of_kind:
            yield Problem(tag, f"it stands there without 55 being {of_kind}", "Leave it out")
        elif tag == "57" and given and not 0 < Decimal(given) < 100:
            yield Problem(tag, f"{given} percent is not between 0 and 100", "Write 0.01 to 99.99")


def _scheme_problems(code: MerchantCode) -> Iterator[Problem]:
    for account in code.accounts:
        profile = account.profile
        if profile is None:
            continue
        there = {one.tag for one in code.by_tag[account.tag].inner}
        if not there & profile.wanted:
            wanted = ", ".join(f"{account.tag}-{tag}" for tag in sorted(profile.wanted))
            yield Problem(account.tag, f"{profile.name} wants one of {wanted}", "Ask for another code")
        if code.currency and profile.currency != code.get("53") and profile.name != "KHQR":
            yield Problem("53", f"{profile.name} pays in {NUMERIC[profile.currency]}", "Ask for another code")
