"""Agreements as TOML: read strictly, every fault told by its field with what to write instead. Pure.

The words and their meaning are in docs/agreements.md; the same structs make the JSON Schema beside it
(``hansa agreements schema docs``).
"""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec

from hansa.clearing.netting import ANYONE, NO_FEE, WHOLE_BP, ChargebackTerms, Fee, Product
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Problem

TEXT_BYTES_MAX = 64 * 1024

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2200, 12, 31)

Party = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=60,
        pattern=r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)\Z",
        description="A member; a city, for all who clear as it; or * for any.",
    ),
]
Bp = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_BP, description="Basis points: 120 is 1.2 %.")]
Amount = Annotated[
    str,
    msgspec.Meta(
        max_length=20,
        pattern=r"^[0-9]{1,13}(\.[0-9]{1,4})?\Z",
        description='An amount of the agreement\'s currency, such as "0.02".',
    ),
]
Days = Annotated[int, msgspec.Meta(ge=1, le=365)]

_REMEDIES = {
    "issuer": "Name a member, a city, or *",
    "operator": "Name a member, a city, or *",
    "currency": 'Write three capital letters, such as "CNY"',
    "bp": "Write basis points, 0 to 10000",
    "valid_from": "Write a date, such as 2027-01-01",
    "valid_to": "Write a date, such as 2027-12-31",
    **dict.fromkeys(
        ("fixed", "floor", "cap", "fee", "pays_at_most"), 'Write the amount as text, such as "0.02"'
    ),
}
_MARK = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`")


class BadAgreement(HansaError):
    """This agreement cannot be used; nothing of it was taken."""

    code: ClassVar[str] = "clearing.bad_agreement"
    status: ClassVar[int] = 422


class FeeText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one party keeps of each item: basis points within floor and cap, and a fixed part beside them."""

    bp: Bp = 0
    fixed: Amount | None = None
    floor: Amount | None = None
    cap: Amount | None = None


class InterchangeText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What passes between two cities for each item, beside the issuer's fee; nothing within one city."""

    paid_by: Literal["operator", "issuer"] = "operator"
    bp: Bp = 0
    fixed: Amount | None = None
    floor: Amount | None = None
    cap: Amount | None = None


class SplitText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an item is shared out: the issuer's fee and the league's; the rest is the operator's."""

    issuer: FeeText = FeeText()
    league: FeeText = FeeText()
    interchange: InterchangeText | None = None


class SubsidyText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a member pays of its residents' fares: how much of it the operator bears, and the most that is paid."""

    operator_bears_bp: Bp = 0
    pays_at_most: Amount | None = None
    league: FeeText = FeeText()


class ChargebackText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Disputed items: time limits, what a chargeback costs and who bears it. Without a split, fees of fares go back."""

    within_days: Days | None = None
    days: dict[Literal["raised", "represented", "escalated", "arbitration"], Days] = {}
    undecided_bp: Bp | None = None
    fee: Amount | None = None
    borne_by: Literal["loser", "issuer", "operator"] = "loser"
    issuer: FeeText | None = None
    league: FeeText | None = None


class AgreementText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An agreement between an issuer's side and an operator's side, from a day on, for the products it names.

    valid_to: its last day; without one it holds until the next of the same parties begins. both_ways: it holds with
    the two sides changed over, too. currency: whose amounts it writes; it is then for items in that currency alone.
    after_gap: days before it on which the two had no agreement are meant.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*\Z")]
    valid_from: date
    issuer: Party
    operator: Party
    valid_to: date | None = None
    both_ways: bool = False
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] | None = None
    after_gap: bool = False
    ride: SplitText | None = None
    payment: SplitText | None = None
    subsidy: SubsidyText | None = None
    chargeback: ChargebackText | None = None

    @property
    def products(self) -> tuple[Product, ...]:
        """What it is about."""
        said: tuple[tuple[Product, object], ...] = (
            ("ride", self.ride),
            ("subsidy", self.subsidy),
            ("chargeback", self.chargeback),
            ("payment", self.payment),
        )
        return tuple(product for product, part in said if part is not None)

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Issuer's side and operator's side, each way in which it holds."""
        ways = ((self.issuer, self.operator), (self.operator, self.issuer))
        return tuple(dict.fromkeys(ways if self.both_ways else ways[:1]))

    def minor(self, amount: str | None) -> int | None:
        """An amount in minor units of the currency; None for none."""
        if amount is None or self.currency is None:
            return None
        return int(Decimal(amount).scaleb(CURRENCY_EXPONENTS[self.currency]))

    def fee(self, said: FeeText | InterchangeText | None) -> Fee:
        """A fee in minor units."""
        if said is None:
            return NO_FEE
        return Fee(
            bp=said.bp,
            fixed_minor=self.minor(said.fixed) or 0,
            floor_minor=self.minor(said.floor) or 0,
            cap_minor=self.minor(said.cap),
        )

    def split(self, product: Product) -> tuple[Fee, Fee, Fee, Literal[-1, 0, 1]] | None:
        """Issuer's, league's and interchange fee of a product, and 1 where the operator pays the interchange.

        None where it says nothing of how the product is shared out.
        """
        if product == "subsidy" and self.subsidy is not None:
            said = self.subsidy
            bears = Fee(bp=said.operator_bears_bp, all_above_minor=self.minor(said.pays_at_most))
            return bears, self.fee(said.league), NO_FEE, 0
        if product == "chargeback" and self.chargeback is not None:
            back = self.chargeback
            if back.issuer is None and back.league is None:
                return None
            return self.fee(back.issuer), self.fee(back.league), NO_FEE, 0
        split = {"ride": self.ride, "payment": self.payment}.get(product)
        if split is None:
            return None
        across = split.interchange
        sign: Literal[-1, 0, 1] = 0 if across is None else -1 if across.paid_by == "issuer" else 1
        return self.fee(split.issuer), self.fee(split.league), self.fee(across), sign

    def chargeback_terms(self) -> ChargebackTerms | None:
        """What it says of disputed items, or None."""
        said = self.chargeback
        if said is None:
            return None
        return ChargebackTerms(
            within_days=said.within_days,
            days={str(state): days for state, days in said.days.items()},
            undecided_bp=said.undecided_bp,
            fee_minor=self.minor(said.fee) or 0,
            borne_by=said.borne_by,
        )


def read_agreement(text: str) -> AgreementText:
    """An agreement from TOML. Errors: BadAgreement naming every field at fault."""
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        problem = Problem("the text", f"it has more than {TEXT_BYTES_MAX} bytes", "Write one agreement in it")
        raise BadAgreement(problems=(problem,))
    try:
        said = msgspec.convert(cast(object, tomllib.loads(text)), AgreementText)
    except tomllib.TOMLDecodeError as error:
        raise BadAgreement(problems=(Problem("the text", str(error), "Write it as TOML"),)) from error
    except msgspec.ValidationError as error:
        raise BadAgreement(problems=(_problem_of(str(error)),)) from error
    problems = tuple(_problems(said))
    if problems:
        raise BadAgreement(problems=problems)
    return said


def digest_of(text: str) -> bytes:
    """What tells two texts apart: SHA-256."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _problem_of(told: str) -> Problem:
    found = _MARK.search(told)
    where = found[1] if found else ""
    what = _MARK.sub("", told)
    what = re.sub(r" matching regex .*", " of another form", what)
    remedy = _REMEDIES.get(where.rpartition(".")[2], "Write it as docs/agreements.md tells")
    if "unknown field" in what:
        what, remedy = what.replace("Object contains", "there is an"), "Take it out, or correct its name"
    elif "missing required field" in what:
        what, remedy = what.replace("Object missing", "it lacks the"), "Add it"
    return Problem(where or "the text", what, remedy)


def _amounts(said: AgreementText) -> Iterator[tuple[str, str]]:
    """Every amount, with the field it stands in."""
    for product in ("ride", "payment", "subsidy", "chargeback"):
        part = getattr(said, product)
        for party in ("issuer", "league", "interchange"):
            fee = getattr(part, party, None)
            for name in ("fixed", "floor", "cap"):
                if (amount := getattr(fee, name, None)) is not None:
                    yield f"{product}.{party}.{name}", amount
        for name in ("pays_at_most", "fee"):
            if (amount := getattr(part, name, None)) is not None:
                yield f"{product}.{name}", amount


def _problems(said: AgreementText) -> Iterator[Problem]:
    for name, day in (("valid_from", said.valid_from), ("valid_to", said.valid_to)):
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            yield Problem(name, f"it is {day}", f"Name a day from {FIRST_DAY} to {LAST_DAY}")
    if said.valid_to is not None and said.valid_to < said.valid_from:
        yield Problem("valid_to", f"it is before {said.valid_from}", "Name the last day, or leave it out")
    if not said.products:
        yield Problem("the text", "it says nothing of any product", "Add [ride], or another")
    if said.currency is not None and said.currency not in CURRENCY_EXPONENTS:
        yield Problem("currency", f"{said.currency} is no active code", "Name one of ISO 4217")
        return
    if said.issuer == said.operator == ANYONE and said.valid_to is not None:
        yield Problem(
            "valid_to",
            "after it there would be no agreement for all",
            "Leave it out; the next one for all takes its place",
        )
    amounts = list(_amounts(said))
    if amounts and said.currency is None:
        yield Problem(
            amounts[0][0], "an amount needs its currency", 'Write currency = "CNY", or basis points alone'
        )
        return
    if said.currency is not None:
        places = CURRENCY_EXPONENTS[said.currency]
        for where, amount in amounts:
            if len(amount.partition(".")[2]) > places:
                yield Problem(
                    where, f"{amount} has more decimals than {said.currency}", f"Write at most {places}"
                )
                return
    yield from _problems_of_fees(said)


def _problems_of_fees(said: AgreementText) -> Iterator[Problem]:
    for product in said.products:
        part: Any = getattr(said, product)
        whole = getattr(part, "operator_bears_bp", 0)
        for party in ("issuer", "league", "interchange"):
            fee: FeeText | InterchangeText | None = getattr(part, party, None)
            if fee is None:
                continue
            floor, cap = said.minor(fee.floor), said.minor(fee.cap)
            if floor is not None and cap is not None and cap < floor:
                yield Problem(
                    f"{product}.{party}.cap", f"{fee.cap} is less than the floor {fee.floor}", "Raise it"
                )
            whole += 0 if isinstance(fee, InterchangeText) and fee.paid_by == "issuer" else fee.bp
        if whole > WHOLE_BP:
            yield Problem(
                product, f"{whole} basis points are more than the whole", f"Keep them within {WHOLE_BP}"
            )


def schema() -> dict[str, Any]:
    """The JSON Schema of an agreement, as the reader knows it."""
    made = msgspec.json.schema(AgreementText)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Hansa agreement", **made}


def write_schema(folder: Path) -> None:
    """Write ``agreements.schema.json`` into a folder."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False)
    (folder / "agreements.schema.json").write_text(text + "\n", encoding="utf-8")
