"""Agreements: written by one person, approved by another, in force from a day that no closed window has taken.

What holds between two members on a business day is the most exact approved agreement of that day: a member's name
before its city's before any, the issuer's side counting before the operator's, an agreement for the currency before one
for all. Facts are only added; an agreement in force is followed by another or ended by two persons, never rewritten.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

from hansa import ledger, trust
from hansa.clearing import agreements_store as kept
from hansa.clearing import store
from hansa.clearing.agreements_store import AgreementFact, AgreementRow
from hansa.clearing.agreements_text import FIRST_DAY, LAST_DAY, AgreementText, BadAgreement, read_agreement
from hansa.clearing.model import PositionLine, UnknownWindow, due_account
from hansa.clearing.netting import (
    ANYONE,
    DEFAULT_AGREEMENT,
    NO_FEE,
    Agreement,
    ChargebackTerms,
    Fee,
    Parts,
    Product,
    Shares,
    Terms,
    apportion,
    product_of,
    share_items,
    share_parts,
)
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.store import Tx

AgreementState = Literal["proposed", "refused", "withdrawn", "scheduled", "in_force", "past"]
Key = tuple[str, str, str, Product]
"""Whom and what an agreement is for: issuer's side, operator's side, currency (empty for any), product. Two agreements
of one key are equally exact."""

BUILT_IN = "default"
"""The id of what holds where nothing was agreed."""

WHY_MAX = 500

SMALL_MIN, SMALL_MAX = 10, 1_000
"""Between these, in minor units, it is told where fees keep more of an item than there is."""


class UnknownAgreement(HansaError):
    """There is no such agreement."""

    code: ClassVar[str] = "clearing.unknown_agreement"
    status: ClassVar[int] = 404


class AgreementConflict(HansaError):
    """This id already stands for another agreement; give the new one an id of its own."""

    code: ClassVar[str] = "clearing.agreement_conflict"
    status: ClassVar[int] = 409


class AgreementDecided(HansaError):
    """This agreement was decided on already, or is not ready to be. Look at what was done with it."""

    code: ClassVar[str] = "clearing.agreement_decided"
    status: ClassVar[int] = 409


class SamePerson(HansaError):
    """Who proposed this cannot approve it. Let somebody else look at it."""

    code: ClassVar[str] = "clearing.same_person"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class AgreedText:
    """An agreement, what was done with it, and where it stands on the day that was asked for.

    ends_on: its last day, by its text or because it was ended; None while it has none.
    """

    agreement_id: UUID
    said: AgreementText
    toml: str
    note: str
    made_by: str
    made_at: datetime
    state: AgreementState
    ends_on: date | None
    facts: tuple[AgreementFact, ...]

    def last(self, step: str) -> AgreementFact | None:
        """When this was done with it the last time, or None."""
        return next((one for one in reversed(self.facts) if one.step == step), None)

    @property
    def end_proposed(self) -> AgreementFact | None:
        """A proposal to end it that nobody has decided on, or None."""
        asked = [one for one in self.facts if one.step in ("end_proposed", "ended", "end_refused")]
        return asked[-1] if asked and asked[-1].step == "end_proposed" else None


@dataclass(frozen=True, slots=True)
class AgreementNote:
    """What checks found about an agreement: an error keeps it from being proposed, a note is to be known."""

    severity: Literal["error", "note"]
    where: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class AgreementChecks:
    """What checks came to. said: None where the text cannot be read."""

    said: AgreementText | None
    findings: tuple[AgreementNote, ...]

    @property
    def errors(self) -> tuple[AgreementNote, ...]:
        """The findings that keep it from being proposed."""
        return tuple(one for one in self.findings if one.severity == "error")


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when an agreement holds for one key, and whether it is a text's. until: None for open."""

    agreement_id: str
    name: str
    since: date
    until: date | None


# -- what holds -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class TermsBook:
    """All that holds on one business day. Asked for many pairs, it remembers each answer."""

    on: date
    cities: Mapping[str, str]
    _by_key: dict[Key, tuple[str, date, AgreementText | Agreement]] = field(
        default_factory=dict[Key, tuple[str, date, AgreementText | Agreement]]
    )
    _known: dict[tuple[str, str, Product, str], Terms] = field(
        default_factory=dict[tuple[str, str, Product, str], Terms]
    )

    def add(self, agreement_id: str, said: AgreementText | Agreement) -> None:
        """Let an agreement that holds on the day count; of equally exact ones the one that began last does."""
        for key in keys_of(said):
            there = self._by_key.get(key)
            if there is None or there[1] <= said.valid_from:
                self._by_key[key] = agreement_id, said.valid_from, said

    def terms(self, issuer_id: str, operator_id: str, product: Product, currency: str = "") -> Terms:
        """What holds between an issuer and an operator; of a subsidy the issuer is the member that pays it.

        currency: of the items; left out, only agreements for all currencies count.
        """
        asked = issuer_id, operator_id, product, currency
        if asked not in self._known:
            self._known[asked] = self._terms(*asked)
        return self._known[asked]

    def _terms(self, issuer_id: str, operator_id: str, product: Product, currency: str) -> Terms:
        agreement_id, said = self._find(issuer_id, operator_id, product, currency) or (BUILT_IN, None)
        across = self._city(issuer_id) != self._city(operator_id)
        back = (
            said.chargeback_terms() if isinstance(said, AgreementText) and product == "chargeback" else None
        )
        split = said.split(product) if isinstance(said, AgreementText) else None
        if split is not None:
            issuer, league, interchange, sign = split
            between, sign = (interchange, sign) if across else (NO_FEE, 0)
            return Terms(agreement_id, product, issuer, league, between, sign, back or ChargebackTerms())
        if product == "chargeback":
            rides = self.terms(issuer_id, operator_id, "ride", currency)
            return replace(
                rides,
                agreement_id=rides.agreement_id if said is None else agreement_id,
                product=product,
                issuer=_given_back(rides.issuer),
                league=_given_back(rides.league),
                interchange=_given_back(rides.interchange),
                chargeback=back or ChargebackTerms(),
            )
        if isinstance(said, Agreement):
            return Terms(agreement_id, product, Fee(said.issuer_fee_bp), Fee(said.league_fee_bp))
        return Terms(BUILT_IN, product, NO_FEE, NO_FEE)

    def _find(
        self, issuer_id: str, operator_id: str, product: Product, currency: str
    ) -> tuple[str, AgreementText | Agreement] | None:
        for issuer in self._sides(issuer_id):
            for operator in self._sides(operator_id):
                for unit in dict.fromkeys((currency, "")):
                    found = self._by_key.get((issuer, operator, unit, product))
                    if found is not None:
                        return found[0], found[2]
        return None

    def _sides(self, member_id: str) -> Iterator[str]:
        yield from dict.fromkeys((member_id, self._city(member_id), ANYONE))

    def _city(self, member_id: str) -> str:
        return self.cities.get(member_id, member_id)


def keys_of(said: AgreementText | Agreement) -> tuple[Key, ...]:
    """Whom and what an agreement is for. One of the simple form is for fares."""
    if isinstance(said, Agreement):
        return ((said.issuer_id, said.operator_id, "", "ride"),)
    return tuple(
        (issuer, operator, said.currency or "", product)
        for issuer, operator in said.directions
        for product in said.products
    )


def terms_on(tx: Tx, on: date) -> TermsBook:
    """All that holds on a business day: asked once, it answers for every pair."""
    members = trust.list_members(tx)
    book = TermsBook(on, {member.member_id: member.clears_as for member in members})
    book.add(BUILT_IN, DEFAULT_AGREEMENT)
    for simple in sorted(store.list_agreements(tx), key=lambda one: one.valid_from):
        if simple.valid_from <= on:
            book.add(_simple_id(simple), simple)
    for agreement_id, said, _ in kept.approved(tx, on):
        book.add(str(agreement_id), said)
    return book


def terms_of(
    tx: Tx, issuer_id: str, operator_id: str, product: Product, on: date, *, currency: str = ""
) -> Terms:
    """What holds between an issuer and an operator for a product on a business day; see ``TermsBook.terms``."""
    return terms_on(tx, on).terms(issuer_id, operator_id, product, currency)


def worked_shares(terms: Terms, minor: int) -> Shares:
    """What one item pays to whom: operator, issuer, league."""
    return share_items([minor], terms)


def _given_back(fee: Fee) -> Fee:
    return Fee(bp=fee.bp, cap_minor=fee.cap_minor)


def _simple_id(simple: Agreement) -> str:
    return f"{simple.issuer_id}>{simple.operator_id}@{simple.valid_from.isoformat()}"


@dataclass(frozen=True, slots=True)
class FeeLine:
    """What a window paid between two members for one product, by which agreement, in minor units.

    gross = operator_share + issuer_fee + league_fee; the lines of a position add up to it. interchange: how much of
    the issuer's fee is interchange, below zero where the issuer pays it.
    """

    issuer_id: str
    operator_id: str
    currency: str
    product: Product
    agreement_id: str
    items: int
    gross: int
    operator_share: int
    issuer_fee: int
    league_fee: int
    interchange: int


def window_fees(tx: Tx, window_id: str) -> list[FeeLine]:
    """A window's fees by position, product and agreement, for invoices: to the cent what its positions say.

    Errors: UnknownWindow.
    """
    window = store.find_window(tx, window_id)
    if window is None:
        raise UnknownWindow(f"There is no window {window_id!r}.")
    book = terms_on(tx, window.business_day)
    rows: dict[tuple[str, str, str, int], list[kept.TakenRow]] = {}
    for row in kept.taken(tx, window_id):
        rows.setdefault((row.issuer_id, row.operator_id, row.currency, row.partition), []).append(row)
    found: dict[tuple[str, str, str, Product], FeeLine] = {}
    for line in store.position_lines(tx, window_id):
        for fee in _fee_lines(
            book, line, rows.get((line.issuer_id, line.operator_id, line.currency, line.partition), [])
        ):
            key = fee.issuer_id, fee.operator_id, fee.currency, fee.product
            found[key] = fee if key not in found else _added(found[key], fee)
    return [found[key] for key in sorted(found, key=lambda key: (key[2], *key))]


def _fee_lines(book: TermsBook, line: PositionLine, rows: Sequence[kept.TakenRow]) -> list[FeeLine]:
    """The fees of a position in one partition, taken apart by product."""
    parts: dict[Product, Parts] = {}
    sums: dict[Product, tuple[int, int]] = {}
    agreed: dict[Product, Terms] = {}
    for row in rows:
        product = product_of(row.code)
        terms = agreed.setdefault(product, book.terms(row.issuer_id, row.operator_id, product, row.currency))
        step = max(step for step in terms.steps if step <= row.from_minor)
        parts[product] = parts.get(product, Parts()) + terms.parts_of_step(step, row.items, row.minor)
        items, gross = sums.get(product, (0, 0))
        sums[product] = items + row.items, gross + row.minor
    whole = share_parts(line.gross, sum(parts.values(), Parts()))
    assert (whole.issuer_fee, whole.league_fee) == (line.issuer_fee, line.league_fee), (line, whole)
    issuers = apportion(whole.issuer_fee - whole.interchange, [one.issuer for one in parts.values()])
    leagues = apportion(whole.league_fee, [one.league for one in parts.values()])
    across = apportion(whole.interchange, [one.interchange for one in parts.values()])
    return [
        FeeLine(
            line.issuer_id,
            line.operator_id,
            line.currency,
            product,
            agreed[product].agreement_id,
            *sums[product],
            sums[product][1] - issuer - between - league,
            issuer + between,
            league,
            between,
        )
        for product, issuer, league, between in zip(parts, issuers, leagues, across, strict=True)
    ]


def _added(one: FeeLine, other: FeeLine) -> FeeLine:
    return replace(
        one,
        items=one.items + other.items,
        gross=one.gross + other.gross,
        operator_share=one.operator_share + other.operator_share,
        issuer_fee=one.issuer_fee + other.issuer_fee,
        league_fee=one.league_fee + other.league_fee,
        interchange=one.interchange + other.interchange,
    )


@dataclass(frozen=True, slots=True)
class OpenAmount:
    """What does not stand at zero between two members, or is due to one (``operator_id`` empty), in minor units."""

    issuer_id: str
    operator_id: str
    currency: str
    minor: int


def open_amounts(tx: Tx, members: Sequence[str]) -> list[OpenAmount]:
    """Positions of these members that no window has taken, and what is due to them and no bank has moved."""
    accounts = kept.positions_of(tx, members)
    dues = {
        (member, one.currency, one.partition): due_account(member, one.currency, one.partition)
        for one in accounts
        for member in (one.issuer_id, one.operator_id)
        if member in members
    }
    standing = ledger.balances(tx, [*(one.account_id for one in accounts), *dues.values()])
    sums: dict[tuple[str, str, str], int] = {}
    for one in accounts:
        key = one.issuer_id, one.operator_id, one.currency
        sums[key] = sums.get(key, 0) + standing[one.account_id].credit_minor
    for (member, currency, _), account_id in dues.items():
        key = member, "", currency
        sums[key] = sums.get(key, 0) + standing[account_id].credit_minor
    return [OpenAmount(*key, minor) for key, minor in sorted(sums.items()) if minor]


def currencies_of(tx: Tx) -> dict[str, tuple[str, ...]]:
    """The currencies in which each operator has positions, by operator."""
    found: dict[str, tuple[str, ...]] = {}
    for operator_id, currency in kept.currencies_of(tx):
        found[operator_id] = (*found.get(operator_id, ()), currency)
    return found


def last_business_day_of(tx: Tx, members: Sequence[str]) -> date | None:
    """The latest business day on which a window had an item of one of these members; None for none."""
    return kept.last_day_of(tx, members)


# -- what can be done -----------------------------------------------------------------------------------------


def check_agreement(tx: Tx, toml: str, *, besides: UUID | None = None) -> AgreementChecks:
    """Everything that is wrong with a text, or worth knowing, held against members, windows and other agreements.

    besides: an agreement that it is not held against: itself.
    """
    try:
        said = read_agreement(toml)
    except BadAgreement as error:
        return AgreementChecks(
            None, tuple(AgreementNote("error", one.where, one.what, one.remedy) for one in error.problems)
        )
    found = [*_wrong_members(tx, said), *_wrong_day(tx, said), *_beside_others(tx, said, besides)]
    found += _worth_knowing(said)
    return AgreementChecks(said, tuple(sorted(found, key=lambda one: one.severity)))


def propose_agreement(
    tx: Tx, agreement_id: UUID, toml: str, *, by: str, at: datetime, note: str = ""
) -> AgreedText:
    """Hand an agreement in for another person to approve. Sending it again under its id is harmless.

    Errors: InvalidInput with every error the checks find; AgreementConflict; trust.MemberMayNot for one that is
    suspended or leaves. Nothing is kept then.
    """
    known = kept.list_rows(tx, [agreement_id])
    if not known:
        checked = _refuse_errors(tx, toml)
        for side in {checked.issuer, checked.operator} - {ANYONE}:
            trust.check_may(tx, side, "agree", at)
        row = AgreementRow(agreement_id, checked, toml, note, by, at)
        if kept.add_row(tx, row):
            kept.add_fact(tx, agreement_id, AgreementFact("proposed", by, at, note))
            return get_agreement(tx, agreement_id, at)
        known = kept.list_rows(tx, [agreement_id])
    if (known[0].toml, known[0].note) != (toml, note) or not trust.is_same_person(by, known[0].made_by):
        raise AgreementConflict
    return get_agreement(tx, agreement_id, at)


def approve_agreement(tx: Tx, agreement_id: UUID, *, by: str, at: datetime, why: str) -> AgreedText:
    """A second person puts an agreement in force from its first day. Doing it again is harmless.

    Errors: UnknownAgreement; AgreementDecided; SamePerson; InvalidInput without a reason, or where the checks, made
    anew, find errors. Nothing is in force then that was not before.
    """
    _refuse_no_reason(why)
    found = _locked(tx, agreement_id, at)
    if found.last("approved") and not found.last("withdrawn"):
        return found
    _refuse_state(found, "proposed")
    if trust.is_same_person(by, found.made_by):
        raise SamePerson
    _refuse_errors(tx, found.toml, besides=agreement_id)
    kept.add_fact(tx, agreement_id, AgreementFact("approved", by, at, why))
    return get_agreement(tx, agreement_id, at)


def refuse_agreement(tx: Tx, agreement_id: UUID, *, by: str, at: datetime, why: str) -> AgreedText:
    """A second person says no to a proposal. Doing it again is harmless.

    Errors: UnknownAgreement; AgreementDecided; SamePerson, who may withdraw it; InvalidInput without a reason.
    """
    _refuse_no_reason(why)
    found = _locked(tx, agreement_id, at)
    if found.state == "refused":
        return found
    _refuse_state(found, "proposed")
    if trust.is_same_person(by, found.made_by):
        raise SamePerson("Who proposed this withdraws it instead.")
    kept.add_fact(tx, agreement_id, AgreementFact("refused", by, at, why))
    return get_agreement(tx, agreement_id, at)


def withdraw_agreement(tx: Tx, agreement_id: UUID, *, by: str, at: datetime, why: str) -> AgreedText:
    """Take back a proposal, or an approved agreement before its first day. Doing it again is harmless.

    What held before then goes on. Errors: UnknownAgreement; AgreementDecided for one that has begun; InvalidInput
    without a reason.
    """
    _refuse_no_reason(why)
    found = _locked(tx, agreement_id, at)
    if found.state == "withdrawn":
        return found
    _refuse_state(found, "proposed", "scheduled")
    if found.state == "scheduled" and (last := last_cleared_day(tx)) is not None:
        _refuse_begun(found, last)
    kept.add_fact(tx, agreement_id, AgreementFact("withdrawn", by, at, why))
    return get_agreement(tx, agreement_id, at)


def propose_end(tx: Tx, agreement_id: UUID, last_day: date, *, by: str, at: datetime, why: str) -> AgreedText:
    """Propose that an agreement in force or scheduled holds until a day and no longer. Again is harmless.

    Errors: UnknownAgreement; AgreementDecided; InvalidInput without a reason, for a day that is cleared or before the
    first, or for the one agreement for all.
    """
    _refuse_no_reason(why)
    found = _locked(tx, agreement_id, at)
    asked = found.end_proposed
    if asked is not None and asked.last_day == last_day and trust.is_same_person(by, asked.by_whom):
        return found
    _refuse_end(tx, found, last_day)
    if asked is not None:
        raise AgreementDecided(f"Its end on {asked.last_day} is proposed already; decide on that first.")
    kept.add_fact(tx, agreement_id, AgreementFact("end_proposed", by, at, why, last_day))
    return get_agreement(tx, agreement_id, at)


def decide_end(tx: Tx, agreement_id: UUID, *, yes: bool, by: str, at: datetime, why: str) -> AgreedText:
    """A second person ends an agreement on the proposed day, or leaves it in force. Doing it again is harmless.

    Who proposed the end may take it back (``yes`` false). Errors: UnknownAgreement; AgreementDecided; SamePerson;
    InvalidInput without a reason, or for a day that was cleared meanwhile.
    """
    _refuse_no_reason(why)
    found = _locked(tx, agreement_id, at)
    asked = found.end_proposed
    if asked is None or asked.last_day is None:
        last = found.facts[-1].step if found.facts else ""
        if last == ("ended" if yes else "end_refused"):
            return found
        raise AgreementDecided("Nobody has proposed that it ends.")
    if yes:
        if trust.is_same_person(by, asked.by_whom):
            raise SamePerson
        _refuse_end(tx, found, asked.last_day)
        kept.add_fact(tx, agreement_id, AgreementFact("ended", by, at, why, asked.last_day))
    else:
        kept.add_fact(tx, agreement_id, AgreementFact("end_refused", by, at, why))
    return get_agreement(tx, agreement_id, at)


# -- what can be asked ----------------------------------------------------------------------------------------


def get_agreement(tx: Tx, agreement_id: UUID, at: datetime) -> AgreedText:
    """An agreement as it stands on the business day of an instant. Errors: UnknownAgreement."""
    rows = kept.list_rows(tx, [agreement_id])
    if not rows:
        raise UnknownAgreement(f"There is no agreement {agreement_id}.")
    today = store.get_settings(tx).day_of(at)
    return _agreed(rows[0], kept.facts_of(tx, [agreement_id]).get(agreement_id, ()), today)


def list_agreed(
    tx: Tx, at: datetime, *, before: tuple[datetime, UUID] | None = None, limit: int = 500
) -> list[AgreedText]:
    """Agreements as they stand on the business day of an instant, newest first. before: of the last one told."""
    today = store.get_settings(tx).day_of(at)
    rows = kept.list_rows(tx, before=before, limit=limit)
    facts = kept.facts_of(tx, [row.agreement_id for row in rows])
    return [_agreed(row, facts.get(row.agreement_id, ()), today) for row in rows]


def spans(tx: Tx) -> dict[Key, list[Span]]:
    """For each key that anything was agreed on, from when to when which agreement holds, in order."""
    found: dict[Key, list[Span]] = {}
    simple = store.list_agreements(tx)
    everyone: list[tuple[str, str, AgreementText | Agreement, date | None]] = [
        (BUILT_IN, "Built in", DEFAULT_AGREEMENT, None),
        *((_simple_id(one), "In basis points", one, None) for one in simple),
        *((str(one), said.name, said, until) for one, said, until in kept.approved(tx)),
    ]
    for agreement_id, name, said, until in sorted(everyone, key=lambda one: one[2].valid_from):
        for key in keys_of(said):
            line = found.setdefault(key, [])
            if line and (line[-1].until is None or line[-1].until >= said.valid_from):
                if line[-1].since == said.valid_from:
                    line.pop()
                else:
                    line[-1] = replace(line[-1], until=said.valid_from - timedelta(days=1))
            line.append(Span(agreement_id, name, said.valid_from, until))
    return found


def last_cleared_day(tx: Tx) -> date | None:
    """The latest business day of which a window is decided: agreements begin after it."""
    return store.latest_day(tx)


# -- what is wrong --------------------------------------------------------------------------------------------


def _wrong_members(tx: Tx, said: AgreementText) -> Iterator[AgreementNote]:
    known = {member.member_id: member for member in trust.list_members(tx)}
    for name, side in (("issuer", said.issuer), ("operator", said.operator)):
        if side == ANYONE:
            continue
        if side not in known:
            yield AgreementNote(
                "error", name, f"the league has no member {side!r}", "Name a member, a city, or *"
            )
            continue
        clears = [one.role for one in known.values() if side in (one.member_id, one.clears_as)]
        wanted = {"issuer": "issuer", "operator": "operator"}[name]
        if wanted not in clears and not said.both_ways:
            yield AgreementNote("note", name, f"{side} has no {wanted} yet", f"It holds once {side} has one")


def _wrong_day(tx: Tx, said: AgreementText) -> Iterator[AgreementNote]:
    last = last_cleared_day(tx)
    if last is not None and said.valid_from <= last:
        yield AgreementNote(
            "error",
            "valid_from",
            f"{said.valid_from} is in a window that is decided",
            f"Let it begin on {last + timedelta(days=1)} or later",
        )


def _beside_others(tx: Tx, said: AgreementText, besides: UUID | None) -> Iterator[AgreementNote]:
    others = [
        (one.name, one.valid_from, until, set(keys_of(one)))
        for agreement_id, one, until in kept.approved(tx)
        if agreement_id != besides
    ]
    told: set[str] = set()
    for key in keys_of(said):
        rivals = sorted((one for one in others if key in one[3]), key=lambda one: one[1])
        for finding in _beside_rivals(said, key, rivals):
            if finding.what not in told:
                told.add(finding.what)
                yield finding


def _beside_rivals(
    said: AgreementText, key: Key, rivals: Sequence[tuple[str, date, date | None, set[Key]]]
) -> Iterator[AgreementNote]:
    about = f"{key[3]}s from {key[0]} to {key[1]}"
    for name, since, until, _ in rivals:
        if since == said.valid_from:
            yield AgreementNote(
                "error",
                "valid_from",
                f"{name!r} begins on {since} too, for {about}",
                "Name another day, or withdraw that one",
            )
        elif since < said.valid_from and until is not None and until >= said.valid_from:
            yield AgreementNote(
                "error",
                "valid_from",
                f"{name!r} is agreed until {until}, for {about}",
                f"Begin on {until + timedelta(days=1)}, or end that one before",
            )
        elif since > said.valid_from and said.valid_to is not None and said.valid_to >= since:
            yield AgreementNote(
                "error",
                "valid_to",
                f"{name!r} begins on {since}, for {about}",
                f"End on {since - timedelta(days=1)}, or leave valid_to out",
            )
        elif since < said.valid_from and until is None:
            yield AgreementNote(
                "note",
                "valid_from",
                f"it takes the place of {name!r}, for {about}",
                "Nothing, if that is meant",
            )
    before = [one for one in rivals if one[1] < said.valid_from]
    ended = max((one[2] for one in before if one[2] is not None), default=None)
    if ended is not None and not any(one[2] is None for one in before):
        gap = (said.valid_from - ended).days - 1
        if gap > 0 and not said.after_gap:
            yield AgreementNote(
                "error",
                "valid_from",
                f"{gap} days after {ended} would have no agreement of their own, for {about}",
                f"Begin on {ended + timedelta(days=1)}, or write after_gap = true if that is meant",
            )


def _worth_knowing(said: AgreementText) -> Iterator[AgreementNote]:
    for product in said.products:
        split = said.split(product)
        if split is None:
            continue
        issuer, league, across, sign = split
        terms = Terms("", product, issuer, league, across, sign)
        sizes = range(SMALL_MAX, SMALL_MIN - 1, -1)
        eaten = next((minor for minor in sizes if sum(_kept(terms, minor)) > minor), None)
        if eaten is not None and said.currency is not None:
            yield AgreementNote(
                "note",
                product,
                f"of an item of {Money(eaten, said.currency)}, fees keep more than there is",
                "Lower fixed part or floor, if such small items come",
            )


def _kept(terms: Terms, minor: int) -> tuple[int, int]:
    shares = worked_shares(terms, minor)
    return shares.issuer_fee, shares.league_fee


def _refuse_errors(tx: Tx, toml: str, *, besides: UUID | None = None) -> AgreementText:
    checked = check_agreement(tx, toml, besides=besides)
    if checked.errors or checked.said is None:
        problems = tuple(Problem(one.where, one.what, one.remedy) for one in checked.errors)
        raise InvalidInput("This agreement cannot be put in force.", problems=problems)
    return checked.said


def _refuse_no_reason(why: str) -> None:
    if not why.strip() or len(why) > WHY_MAX:
        what = "is missing" if not why.strip() else f"has more than {WHY_MAX} letters"
        problem = Problem("why", what, "Say why, in a few words")
        raise InvalidInput("A decision needs its reason.", problems=(problem,))


def _refuse_state(found: AgreedText, *states: AgreementState) -> None:
    if found.state not in states:
        raise AgreementDecided(f"This agreement is {found.state.replace('_', ' ')}.")


def _refuse_begun(found: AgreedText, last: date) -> None:
    if found.said.valid_from <= last:
        raise AgreementDecided(f"Days until {last} are cleared by it. Let another follow it, or end it.")


def _refuse_end(tx: Tx, found: AgreedText, last_day: date) -> None:
    _refuse_state(found, "scheduled", "in_force")
    problem: Problem | None = None
    cleared = last_cleared_day(tx)
    if found.said.issuer == found.said.operator == ANYONE:
        problem = Problem("last_day", "it is the agreement for all", "Let another follow it instead")
    elif not FIRST_DAY <= last_day <= LAST_DAY or last_day < found.said.valid_from:
        problem = Problem(
            "last_day", f"{last_day} is before its first day", f"Name {found.said.valid_from} or later"
        )
    elif cleared is not None and last_day < cleared:
        problem = Problem("last_day", f"days until {cleared} are cleared by it", f"Name {cleared} or later")
    elif found.ends_on is not None and last_day >= found.ends_on:
        problem = Problem("last_day", f"it ends on {found.ends_on} anyhow", "Name an earlier day")
    if problem is not None:
        raise InvalidInput("This agreement cannot end like that.", problems=(problem,))


# -- where it stands ------------------------------------------------------------------------------------------


def _locked(tx: Tx, agreement_id: UUID, at: datetime) -> AgreedText:
    kept.lock(tx)
    return get_agreement(tx, agreement_id, at)


def _agreed(row: AgreementRow, facts: Iterable[AgreementFact], today: date) -> AgreedText:
    done = tuple(facts)
    steps = {one.step: one for one in done}
    ended = steps["ended"].last_day if "ended" in steps else None
    ends_on = min((day for day in (row.said.valid_to, ended) if day is not None), default=None)
    return AgreedText(
        agreement_id=row.agreement_id,
        said=row.said,
        toml=row.toml,
        note=row.note,
        made_by=row.made_by,
        made_at=row.made_at,
        state=_state(steps.keys(), row.said.valid_from, ends_on, today),
        ends_on=ends_on,
        facts=done,
    )


def _state(steps: Iterable[str], valid_from: date, ends_on: date | None, today: date) -> AgreementState:
    done = set(steps)
    if "withdrawn" in done:
        return "withdrawn"
    if "refused" in done:
        return "refused"
    if "approved" not in done:
        return "proposed"
    if today < valid_from:
        return "scheduled"
    return "past" if ends_on is not None and ends_on < today else "in_force"
