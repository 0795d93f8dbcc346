"""The console's desk of agreements: by pair over time, what a fare pays to whom, two persons who decide."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import clearing, trust
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.console import member_names
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.apps.web.tariff_pictures import Timeline, timeline
from hansa.apps.web.tariff_views import problems_of
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem, fact_id, new_id
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=60)]

TEXT_MAX = 64 * 1024
SHOWN_MAX = 500
TONES = {
    "proposed": "warm",
    "scheduled": "plain",
    "in_force": "",
    "past": "plain",
    "refused": "bad",
    "withdrawn": "plain",
}
PRODUCT_WORDS: Mapping[clearing.Product, str] = {
    "ride": "a fare",
    "payment": "a payment",
    "subsidy": "a subsidy",
    "chargeback": "a chargeback",
}
STEP_WORDS = {
    "proposed": "proposed",
    "approved": "approved",
    "refused": "refused",
    "withdrawn": "withdrawn",
    "end_proposed": "its end proposed",
    "ended": "ended",
    "end_refused": "its end refused",
}

SKELETON = """name = "{issuer} and {operator}"
valid_from = {valid_from}
# valid_to = 2027-12-31       # its last day; left out, it holds until the next one begins
issuer = "{issuer}"           # a member, a city for all who clear as it, or "*" for any
operator = "{operator}"
# both_ways = true            # also with the two sides changed over
currency = "{currency}"       # of the amounts below

[ride]
issuer = {{ bp = 120, fixed = "0.00", floor = "0.00" }}
league = {{ bp = 30 }}
# interchange = {{ bp = 20, paid_by = "operator" }}

# [subsidy]
# operator_bears_bp = 0

# [chargeback]
# within_days = 90
# fee = "5.00"
# borne_by = "loser"
"""


@dataclass(frozen=True, slots=True)
class Worked:
    """What one item of a product pays to whom, and by which agreement."""

    words: str
    item: Money
    operator: Money
    issuer: Money
    interchange: Money
    league: Money
    name: str
    link: str
    rule: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides with every agreement between them, in the direction of the debt."""

    issuer: str
    operator: str
    issuer_name: str
    operator_name: str
    lines: tuple[clearing.AgreedText, ...]
    simple: tuple[tuple[str, date], ...]
    picture: Timeline | None


@dataclass(frozen=True)
class AgreementForm:
    """What the form of an agreement sends. nonce: made with the form, so that sending it twice proposes once."""

    toml: str = ""
    note: str = ""
    nonce: str = ""
    what: str = ""


@dataclass(frozen=True)
class DecideForm:
    """What the form of a decision sends. last_day: of an end that is proposed."""

    what: str = ""
    why: str = ""
    last_day: str = ""


@get("/console/agreements", sync_to_thread=True, include_in_schema=False)
def show_agreements(
    request: Asked,
    site: Here,
    issuer: Text = "",
    operator: Text = "",
    amount: Text = "3.00",
    currency: Text = "",
    day: FromQuery[date | None] = None,
) -> Response[str]:
    """Every agreement by pair, and a question: what does a fare pay to whom?"""
    get_operator(request, site)
    now = site.ctx.clock.now()
    fault: HansaError | None = None
    worked: list[Worked] = []
    with site.ctx.tx() as tx:
        members = {str(one.member_id): one for one in trust.list_members(tx)}
        found = clearing.list_agreed(tx, now, limit=SHOWN_MAX)
        pairs = _pairs(tx, found, members, clearing.get_settings(tx).day_of(now))
        today = clearing.get_settings(tx).day_of(now)
        issuers = [one for one in members.values() if one.role == "issuer"]
        operators = [one for one in members.values() if one.role == "operator"]
        issuer = issuer or (issuers[0].member_id if issuers else "")
        operator = operator or next(
            (str(one.member_id) for one in operators if _city(members, issuer) != one.clears_as), ""
        )
        currency = currency or _currency_of(tx, operator)
        try:
            if issuer and operator:
                worked = _worked(
                    tx,
                    issuer,
                    operator,
                    read_minor(amount, currency, where="amount"),
                    currency,
                    day or today,
                    found,
                )
        except HansaError as error:
            fault = error
    return page(
        "console/agreements.html",
        status_code=200 if fault is None else fault.status,
        here="agreements",
        pairs=[one for one in pairs if one.lines],
        simple=[one for one in pairs if one.simple],
        waiting=[one for one in found if one.state == "proposed" or one.end_proposed],
        tones=TONES,
        issuers=issuers,
        operators=operators,
        issuer=issuer,
        operator=operator,
        amount=amount,
        currency=currency,
        currencies=sorted({currency, *_currencies(found)} - {""}),
        on=day or today,
        worked=worked,
        problems=[] if fault is None else problems_of(fault),
        fault="" if fault is None else fault.detail,
        link=link_of,
        **clerk_words(request, site, back="/console/agreements"),
    )


@get("/console/agreements/{agreement_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_agreement(request: Asked, site: Here, agreement_id: FromPath[UUID]) -> Response[str]:
    """An agreement: what it says, what was done with it, what it makes of a fare, what can be done."""
    get_operator(request, site)
    return _agreement_page(request, site, agreement_id)


@post("/console/agreements/{agreement_id:uuid}/decide", sync_to_thread=True, include_in_schema=False)
def decide(
    request: Asked,
    site: Here,
    agreement_id: FromPath[UUID],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Approve, refuse or withdraw it, or propose and decide on its end; or show what stands in the way."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    why = data.why.replace("\0", "")[:500]
    decisions = {
        "approve": clearing.approve_agreement,
        "refuse": clearing.refuse_agreement,
        "withdraw": clearing.withdraw_agreement,
    }
    try:
        with site.ctx.tx() as tx:
            if data.what in decisions:
                decisions[data.what](tx, agreement_id, by=by, at=now, why=why)
            elif data.what == "end":
                last = _day(data.last_day)
                clearing.propose_end(tx, agreement_id, last, by=by, at=now, why=why)
            elif data.what in ("end_yes", "end_no"):
                yes = data.what == "end_yes"
                clearing.decide_end(tx, agreement_id, yes=yes, by=by, at=now, why=why)
    except clearing.UnknownAgreement:
        raise
    except HansaError as error:
        return _agreement_page(request, site, agreement_id, why=why, error=error)
    return Redirect(link_of(agreement_id), status_code=303)


@get("/console/agreements/new", sync_to_thread=True, include_in_schema=False)
def show_form(
    request: Asked, site: Here, issuer: Text = "*", operator: Text = "*", base: FromQuery[UUID | None] = None
) -> Response[str]:
    """The form in which an agreement is written: its text, from one that there is or from a skeleton."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        now = site.ctx.clock.now()
        if base is not None:
            toml = clearing.get_agreement(tx, base, now).toml
        else:
            first = clearing.get_settings(tx).day_of(now) + timedelta(days=1)
            toml = SKELETON.format(
                issuer=issuer,
                operator=operator,
                valid_from=first,
                currency=_currency_of(tx, operator) or "CNY",
            )
    return _form_page(request, site, AgreementForm(toml, "", str(new_id())))


@post("/console/agreements/new", sync_to_thread=True, include_in_schema=False)
def write_agreement(
    request: Asked,
    site: Here,
    data: Annotated[AgreementForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Check what the form sends, or propose it; with what is wrong it is shown again, as it was written."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    toml = data.toml.replace("\r\n", "\n").replace("\0", "")
    form = AgreementForm(toml, data.note.replace("\0", "")[:500], data.nonce[:80], data.what)
    if data.what != "propose":
        return _form_page(request, site, form, checked=True)
    agreement_id = fact_id(None, "agreement written", form.nonce, toml, form.note, by)
    try:
        with site.ctx.tx() as tx:
            clearing.propose_agreement(tx, agreement_id, toml, by=by, at=now, note=form.note)
    except HansaError as error:
        return _form_page(request, site, form, error=error)
    return Redirect(link_of(agreement_id), status_code=303)


# -- pages ----------------------------------------------------------------------------------------------------


def link_of(agreement_id: UUID | str) -> str:
    """Where an agreement is shown."""
    return f"/console/agreements/{agreement_id}"


def _form_page(
    request: Asked,
    site: Site,
    form: AgreementForm,
    *,
    checked: bool = False,
    error: HansaError | None = None,
) -> Response[str]:
    findings: Sequence[clearing.AgreementNote] = ()
    worked: list[Worked] = []
    with site.ctx.tx() as tx:
        if checked or error is not None:
            told = clearing.check_agreement(tx, form.toml)
            findings = told.findings
            if told.said is not None:
                worked = _worked_of_text(told.said)
    return page(
        "console/agreement_new.html",
        status_code=200 if error is None else error.status,
        here="agreements",
        form=form,
        checked=checked,
        findings=findings,
        worked=worked,
        problems=[] if error is None or findings else problems_of(error),
        fault="" if error is None or findings else error.detail,
        **clerk_words(request, site, back="/console/agreements/new"),
    )


def _agreement_page(
    request: Asked, site: Site, agreement_id: UUID, *, why: str = "", error: HansaError | None = None
) -> Response[str]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = clearing.get_agreement(tx, agreement_id, now)
        checked = clearing.check_agreement(tx, found.toml, besides=agreement_id)
        today = clearing.get_settings(tx).day_of(now)
        last = clearing.last_cleared_day(tx)
        names = member_names(tx)
    by = clerk_of(request, site)
    end = found.end_proposed
    return page(
        "console/agreement.html",
        status_code=200 if error is None else error.status,
        here="agreements",
        found=found,
        said=found.said,
        names=names,
        findings=checked.findings if found.state == "proposed" else (),
        worked=_worked_of_text(found.said),
        tones=TONES,
        steps=STEP_WORDS,
        may_withdraw=found.state == "proposed"
        or (found.state == "scheduled" and found.said.valid_from > (last or date.min)),
        may_end=found.state in ("scheduled", "in_force")
        and end is None
        and (found.said.issuer, found.said.operator) != ("*", "*"),
        end=end,
        same=trust.is_same_person(by, found.made_by),
        same_end=end is not None and trust.is_same_person(by, end.by_whom),
        today=today,
        why=why,
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        new_link="/console/agreements/new?" + urlencode({"base": str(agreement_id)}),
        **clerk_words(request, site, back=link_of(agreement_id)),
    )


def _pairs(
    tx: Tx, found: Iterable[clearing.AgreedText], members: Mapping[str, trust.Member], today: date
) -> list[Pair]:
    """Agreements by the sides they name, those for all first."""
    by_pair: dict[tuple[str, str], list[clearing.AgreedText]] = {}
    for one in found:
        by_pair.setdefault((one.said.issuer, one.said.operator), []).append(one)
    simple: dict[tuple[str, str], dict[str, date]] = {}
    for (issuer, operator, _, product), spans in clearing.spans(tx).items():
        for span in spans:
            if product == "ride" and "@" in span.agreement_id:
                simple.setdefault((issuer, operator), {})[span.agreement_id] = span.since
    pairs: list[Pair] = []
    for issuer, operator in sorted(
        {*by_pair, *simple}, key=lambda pair: (pair[0] != "*", pair[1] != "*", pair)
    ):
        lines = sorted(by_pair.get((issuer, operator), ()), key=lambda one: one.said.valid_from)
        drawn = [
            (one.said.valid_from, one.ends_on, one.state, one.said.name, link_of(one.agreement_id))
            for one in lines
            if one.state not in ("refused", "withdrawn")
        ]
        pairs.append(
            Pair(
                issuer,
                operator,
                _name(members, issuer),
                _name(members, operator),
                tuple(reversed(lines)),
                tuple(sorted(simple.get((issuer, operator), {}).items(), key=lambda one: one[1])),
                timeline(drawn, today),
            )
        )
    return pairs


def _worked(
    tx: Tx,
    issuer: str,
    operator: str,
    minor: int,
    currency: str,
    on: date,
    found: Iterable[clearing.AgreedText],
) -> list[Worked]:
    trust.get_member(tx, issuer)
    trust.get_member(tx, operator)
    book = clearing.terms_on(tx, on)
    names = {str(one.agreement_id): one.said.name for one in found}
    lines: list[Worked] = []
    for product, words in PRODUCT_WORDS.items():
        terms = book.terms(issuer, operator, product, currency)
        item = -minor if product == "chargeback" else minor
        known = terms.agreement_id in names
        name = names.get(terms.agreement_id) or _simple_name(terms.agreement_id)
        lines.append(_line(terms, words, item, currency, name, link_of(terms.agreement_id) if known else ""))
    return lines


def _worked_of_text(said: clearing.AgreementText) -> list[Worked]:
    """What the text makes of 3.00 of its currency, or of 3.00 as it is written without one, between two cities."""
    currency = said.currency or "CNY"
    minor = 3 * 10 ** CURRENCY_EXPONENTS[currency]
    book = clearing.TermsBook(said.valid_from, {})
    book.add("this", said)
    issuer, operator = said.issuer, said.operator
    lines: list[Worked] = []
    for product in said.products:
        terms = book.terms(issuer, operator if operator != issuer else f"{operator}'", product, currency)
        item = -minor if product == "chargeback" else minor
        lines.append(_line(terms, PRODUCT_WORDS[product], item, currency, said.name, ""))
    return lines


def _line(terms: clearing.Terms, words: str, minor: int, currency: str, name: str, link: str) -> Worked:
    shares = clearing.worked_shares(terms, minor)
    return Worked(
        words,
        Money(minor, currency),
        Money(shares.operator_share, currency),
        Money(shares.issuer_fee, currency),
        Money(shares.interchange, currency),
        Money(shares.league_fee, currency),
        name,
        link,
        _rule(terms, currency),
    )


def _simple_name(agreement_id: str) -> str:
    """What holds without a text, in words."""
    _, simple, since = agreement_id.rpartition("@")
    return f"basis points since {since}" if simple else "built in"


def _rule(terms: clearing.Terms, currency: str) -> str:
    """The terms in words: ``issuer 1.2 % + 0.02, league 0.3 %``."""
    told = [
        f"{who} {_fee(fee, currency)}" for who, fee in (("issuer", terms.issuer), ("league", terms.league))
    ]
    if terms.interchange_sign:
        payer = "operator" if terms.interchange_sign > 0 else "issuer"
        told.append(f"interchange {_fee(terms.interchange, currency)}, paid by the {payer}")
    back = terms.chargeback
    if terms.product == "chargeback" and back.fee_minor:
        told.append(f"{Money(back.fee_minor, currency)} to the league, borne by the {back.borne_by}")
    return "; ".join(told)


def _fee(fee: clearing.Fee, currency: str) -> str:
    words = f"{Decimal(fee.bp) / 100:f} %"
    if fee.floor_minor:
        words += f", at least {Money(fee.floor_minor, currency)}"
    if fee.cap_minor is not None:
        words += f", at most {Money(fee.cap_minor, currency)}"
    if fee.all_above_minor is not None:
        words += f", all above {Money(fee.all_above_minor, currency)}"
    if fee.fixed_minor:
        words += f" + {Money(fee.fixed_minor, currency)}"
    return words


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        problem = Problem("last_day", "is no date", "Choose the last day on which it holds")
        raise InvalidInput("The last day cannot be read.", problems=(problem,)) from error


def _currency_of(tx: Tx, member_id: str) -> str:
    units = clearing.currencies_of(tx)
    return min(units.get(member_id, ()), default="") or min(
        (unit for some in units.values() for unit in some), default=""
    )


def _currencies(found: Iterable[clearing.AgreedText]) -> set[str]:
    return {one.said.currency for one in found if one.said.currency is not None}


def _city(members: Mapping[str, trust.Member], member_id: str) -> str:
    return members[member_id].clears_as if member_id in members else member_id


def _name(members: Mapping[str, trust.Member], side: str) -> str:
    return "Any" if side == "*" else members[side].name if side in members else side


ROUTES = [show_agreements, show_agreement, decide, show_form, write_agreement]
