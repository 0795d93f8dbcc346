"""Tariffs on their way into force: written by one person, looked at and approved by another, begun on their first day.

A proposal is kept as it was written, also while it has errors: it is a draft then, and says what is wrong with it, by
file, line, field and remedy. What is done with it are facts that are never changed: who, when, why. Approving puts the
tariff in force from its first day in the same transaction, so that there is never one without the other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

from hansa import atlas, trust
from hansa.fares import FeedBasis, Finding, Tariff, TariffSource, check_tariff, read_source
from hansa.kernel import HansaError, InvalidInput, Problem, service_day, service_day_bounds
from hansa.rides import proposals_store as kept
from hansa.rides import store
from hansa.rides.actions import import_tariff
from hansa.rides.gtfs_fares import refuse_unknown_names
from hansa.rides.looking_back import KEPT
from hansa.rides.model import TariffConflict
from hansa.rides.proposals_store import DaysAgain, ProposalFact, ProposalRow
from hansa.rides.tariffs import digest_of
from hansa.store import Tx

ProposalState = Literal["draft", "proposed", "scheduled", "in_force", "past", "withdrawn", "superseded"]
OPEN: frozenset[ProposalState] = frozenset({"draft", "proposed"})

PROPOSAL_BYTES_MAX = 32 * 1024 * 1024
"""Text and tables of one proposal together: four hundred thousand pairs of stops with a fare for four classes."""

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,96}\.csv", re.IGNORECASE)

TABLES_MAX = 50
"""Tables of one tariff."""

LISTED_MAX = 500
"""Proposals in one list."""

CANCEL_BEFORE = timedelta(hours=1)
"""How long before its first day an approved tariff can still be taken back: no ride may have been priced by it."""


class UnknownProposal(HansaError):
    """There is no such proposal of a tariff."""

    code: ClassVar[str] = "rides.unknown_proposal"
    status: ClassVar[int] = 404


class ProposalConflict(HansaError):
    """This id already stands for another proposal; give the new one an id of its own."""

    code: ClassVar[str] = "rides.proposal_conflict"
    status: ClassVar[int] = 409


class ProposalClosed(HansaError):
    """This proposal was decided already, or is not ready to be decided. Look at what was done with it."""

    code: ClassVar[str] = "rides.proposal_closed"
    status: ClassVar[int] = 409


class SamePerson(HansaError):
    """Who wrote or proposed a tariff cannot approve it. Let somebody else look at it."""

    code: ClassVar[str] = "rides.same_person"
    status: ClassVar[int] = 409


class StartsInThePast(HansaError):
    """The tariff begins on a day that has begun. Give it a later day, or say that those days are to be rated again."""

    code: ClassVar[str] = "rides.starts_in_the_past"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal, what was done with it, and where it stands on the day that was asked for.

    name to valid_to: None where the text cannot be read. findings: of the latest checks.
    state: ``draft`` until it is proposed; ``scheduled``, ``in_force`` and ``past`` are what became of an approved one.
    """

    proposal_id: UUID
    operator_id: str
    digest: bytes
    name: str | None
    city_id: str | None
    currency: str | None
    valid_from: date | None
    valid_to: date | None
    note: str
    replaces: UUID | None
    made_by: str
    made_at: datetime
    state: ProposalState
    facts: tuple[ProposalFact, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the latest checks found, errors first."""
        return next((one.findings for one in reversed(self.facts) if one.step in _CHECKED), ())

    @property
    def errors(self) -> int:
        """How many of the findings keep it from being proposed."""
        return sum(one.severity == "error" for one in self.findings)

    def by(self, step: str) -> str:
        """Who did this with it; empty where nobody did."""
        return next((one.by_whom for one in self.facts if one.step == step), "")


_CHECKED = ("checked", "proposed", "approved")


@dataclass(frozen=True, slots=True)
class Checked:
    """What checks came to. tariff: None where the text cannot be read. network_version: it was held against, if any."""

    tariff: Tariff | None
    findings: tuple[Finding, ...]
    network_version: int | None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep it from being put in force."""
        return tuple(one for one in self.findings if one.severity == "error")


# -- what can be done ---------------------------------------------------------------------------------------


def propose_tariff(
    tx: Tx,
    proposal_id: UUID,
    *,
    operator_id: str,
    source: TariffSource,
    by: str,
    at: datetime,
    note: str = "",
    replaces: UUID | None = None,
    submit: bool = True,
) -> Proposal:
    """Keep a tariff as it was written, checked. Sending it again under its id is harmless.

    submit: let it be decided, if it has no errors; with errors it stays a draft. replaces: an open proposal of the
    operator, which this one takes the place of.
    Errors: ProposalConflict; ProposalClosed and UnknownProposal of the one it replaces; InvalidInput for more than
    fits; trust.UnknownMember. Nothing is kept then.
    """
    _refuse_what_does_not_fit(source)
    trust.get_member(tx, trust.MemberId(operator_id))
    digest = digest_of(source)
    known = kept.find_row(tx, proposal_id)
    if known is None:
        checked = check_source(tx, operator_id, source)
        tariff = checked.tariff
        row = ProposalRow(
            proposal_id=proposal_id,
            operator_id=operator_id,
            digest=digest,
            name=None if tariff is None else tariff.name,
            city_id=None if tariff is None else tariff.city_id,
            currency=None if tariff is None else tariff.currency,
            valid_from=None if tariff is None or not _in_our_time(tariff.valid_from) else tariff.valid_from,
            valid_to=None if tariff is None else tariff.valid_to,
            tz=None if tariff is None else tariff.tz,
            day_starts=None if tariff is None else tariff.day_starts,
            note=note,
            replaces=replaces,
            made_by=by,
            made_at=at,
        )
        if replaces is not None:
            _supersede(tx, replaces, row, by=by, at=at)
        if kept.add_row(tx, row, source):
            fact = ProposalFact("checked", by, at, note, checked.findings, checked.network_version)
            kept.add_fact(tx, proposal_id, fact)
            if submit and not checked.errors:
                kept.add_fact(tx, proposal_id, _at_step(fact, "proposed"))
            return get_proposal(tx, proposal_id, at)
        known = kept.find_row(tx, proposal_id)
    assert known is not None, "what could not be added is there"
    same = (known.operator_id, known.digest, known.note, known.replaces) == (
        operator_id,
        digest,
        note,
        replaces,
    )
    if not same or not trust.is_same_person(by, known.made_by):
        raise ProposalConflict
    return get_proposal(tx, proposal_id, at)


def submit_tariff(tx: Tx, proposal_id: UUID, *, by: str, at: datetime, why: str = "") -> Proposal:
    """Let a draft be decided. Doing it again is harmless.

    Errors: UnknownProposal; ProposalClosed; InvalidInput with every error it still has, checked anew.
    """
    found = _locked(tx, proposal_id, at)
    if found.state != "draft":
        if found.by("proposed"):
            return found
        raise ProposalClosed(f"This proposal is {_said(found.state)}.")
    checked = _refuse_errors(tx, found)
    fact = ProposalFact("proposed", by, at, why, checked.findings, checked.network_version)
    kept.add_fact(tx, proposal_id, fact)
    return get_proposal(tx, proposal_id, at)


def approve_tariff(
    tx: Tx, proposal_id: UUID, *, by: str, at: datetime, why: str = "", days_again: int | None = None
) -> Proposal:
    """A second person puts a proposed tariff in force from its first day. Doing it again is harmless.

    days_again: for a first day that has begun, how many service days with taps are to be rated again, as
    ``days_to_rate_again`` told them. Other open proposals for the same first day are superseded.
    Errors: UnknownProposal; ProposalClosed; SamePerson; StartsInThePast; InvalidInput when the checks, made anew, find
    errors; TariffConflict. Nothing is in force then that was not before.
    """
    found = _locked(tx, proposal_id, at)
    if found.by("approved") and not found.by("cancelled"):
        return found
    if found.state != "proposed":
        raise ProposalClosed(f"This proposal is {_said(found.state)}.")
    if any(trust.is_same_person(by, one) for one in (found.made_by, found.by("proposed"))):
        raise SamePerson
    checked = _refuse_errors(tx, found)
    tariff = checked.tariff
    assert tariff is not None, "what cannot be read has errors"
    if tariff.valid_from <= _today(tariff, at):
        again = days_to_rate_again(tx, tariff, at)
        if days_again != again.days:
            told = (
                f"{again.days:,} service days with {again.taps:,} taps of {again.rider_days:,} riders' days"
            )
            raise StartsInThePast(
                f"{told} lie between {tariff.valid_from} and now. Give the tariff a later day, or say that "
                f"{again.days} are to be rated again."
            )
    import_tariff(tx, tariff)
    fact = ProposalFact("approved", by, at, why, checked.findings, checked.network_version)
    kept.add_fact(tx, proposal_id, fact)
    row = kept.find_row(tx, proposal_id)
    assert row is not None, "it is locked"
    for rival in kept.rivals(tx, row):
        kept.add_fact(tx, rival, ProposalFact("superseded", by, at, f"{proposal_id} was approved"))
    return get_proposal(tx, proposal_id, at)


def withdraw_tariff(tx: Tx, proposal_id: UUID, *, by: str, at: datetime, why: str) -> Proposal:
    """Take an open proposal back, or an approved one an hour or more before its first day. Again is harmless.

    What was in force before then stays in force. Errors: UnknownProposal; ProposalClosed for one that has begun or was
    superseded; InvalidInput without a reason.
    """
    if not why.strip():
        problem = Problem("why", "is missing", "Say why, in a few words")
        raise InvalidInput("A withdrawal needs its reason.", problems=(problem,))
    found = _locked(tx, proposal_id, at)
    if found.state == "withdrawn":
        return found
    if found.state in OPEN:
        kept.add_fact(tx, proposal_id, ProposalFact("withdrawn", by, at, why))
        return get_proposal(tx, proposal_id, at)
    row = kept.find_row(tx, proposal_id)
    assert row is not None, "it is locked"
    if (
        found.state != "scheduled"
        or found.valid_from is None
        or _state(row, found.facts, at + CANCEL_BEFORE) != "scheduled"
    ):
        raise ProposalClosed(
            f"This proposal is {_said(found.state)}. A tariff that has begun is followed by another, not taken back."
        )
    kept.cancel_tariff(tx, found.operator_id, found.valid_from, found.digest)
    kept.add_fact(tx, proposal_id, ProposalFact("cancelled", by, at, why))
    return get_proposal(tx, proposal_id, at)


# -- what can be asked --------------------------------------------------------------------------------------


def get_proposal(tx: Tx, proposal_id: UUID, at: datetime) -> Proposal:
    """A proposal as it stands at an instant. Errors: UnknownProposal."""
    row = kept.find_row(tx, proposal_id)
    if row is None:
        raise UnknownProposal(f"There is no proposal {proposal_id}.")
    return _proposal(row, kept.facts_of(tx, [proposal_id]).get(proposal_id, ()), at)


def proposal_source(tx: Tx, proposal_id: UUID) -> TariffSource:
    """The text of a proposal. Errors: UnknownProposal."""
    if kept.find_row(tx, proposal_id) is None:
        raise UnknownProposal(f"There is no proposal {proposal_id}.")
    return kept.get_source(tx, proposal_id)


def list_proposals(
    tx: Tx,
    at: datetime,
    *,
    operator_id: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> list[Proposal]:
    """Proposals as they stand at an instant, newest first. before: (made_at, id) of the last one told."""
    rows = kept.list_rows(tx, operator_id, before=before, limit=min(limit, LISTED_MAX))
    facts = kept.facts_of(tx, [row.proposal_id for row in rows])
    return [_proposal(row, facts.get(row.proposal_id, ()), at) for row in rows]


def days_to_rate_again(tx: Tx, tariff: Tariff, at: datetime) -> DaysAgain:
    """What would be rated again if this tariff were put in force at an instant."""
    last = _today(tariff, at) if tariff.valid_to is None else min(_today(tariff, at), tariff.valid_to)
    if tariff.valid_from > last:
        return DaysAgain(0, 0, 0)
    first_at, _ = service_day_bounds(max(tariff.valid_from, date(2000, 1, 1)), tariff.tz, tariff.day_starts)
    _, last_at = service_day_bounds(last, tariff.tz, tariff.day_starts)
    return kept.days_again(tx, tariff.operator_id, tariff.tz, tariff.day_starts, first_at, last_at)


def check_source(tx: Tx, operator_id: str, source: TariffSource) -> Checked:
    """Everything that is wrong or odd about a text, read, held against the network and the operator's other tariffs."""
    try:
        tariff = read_source(source)
    except InvalidInput as error:
        findings = tuple(Finding("error", one.where, one.what, one.remedy) for one in error.problems)
        return Checked(None, findings, None)
    found: list[Finding] = []
    if tariff.operator_id != operator_id:
        remedy = f'Write operator = "{operator_id}", or hand it in for the other operator'
        found.append(_finding(source, "operator", f"is {tariff.operator_id}, not {operator_id}", remedy))
    network: atlas.Network | None = None
    try:
        network = atlas.get_network(tx, tariff.city_id, day=tariff.valid_from)
    except atlas.UnknownCity as error:
        found.append(_finding(source, "city", error.detail.rstrip("."), "Load the city's network first"))
    if not _in_our_time(tariff.valid_from):
        found.append(
            _finding(source, "valid_from", f"is {tariff.valid_from}", "Name a day from 2000 to 2200")
        )
    found += check_tariff(tariff, network)
    if network is not None:
        found += _beside_feed(tx, tariff, network)
    found += _beside_others(tx, tariff)
    ordered = tuple(sorted(found, key=lambda one: one.severity))
    return Checked(tariff, ordered, None if network is None else network.version)


def _beside_feed(tx: Tx, tariff: Tariff, network: atlas.Network) -> list[Finding]:
    """What a tariff by the feed names and the feed does not have."""
    if not isinstance(tariff.basis, FeedBasis):
        return []
    feed = atlas.get_fares_v2(tx, tariff.city_id, version=network.version)
    try:
        refuse_unknown_names(tariff, feed or atlas.FaresV2())
    except InvalidInput as error:
        return [Finding("error", one.where, one.what, one.remedy) for one in error.problems]
    return []


def _beside_others(tx: Tx, tariff: Tariff) -> list[Finding]:
    """What keeps it from standing in the books beside the operator's other versions."""
    found: list[Finding] = []
    versions = [one for one in store.list_tariffs(tx) if one.operator_id == tariff.operator_id]
    for field, mine in (
        ("tz", tariff.tz),
        ("day_starts", tariff.day_starts),
        ("currency", tariff.currency),
    ):
        theirs = {getattr(one, field) for one in versions}
        if theirs and mine not in theirs:
            what = f"is {mine}, and all tariffs of {tariff.operator_id} have {min(theirs)}"
            found.append(_finding(tariff.source, field, what, "Keep what the others have"))
    for name in sorted(tariff.asks - KEPT):
        what = f"it needs {name}, which the books do not keep"
        found.append(_finding(tariff.source, name, what, "Leave out the rules that need it"))
    members = {one.member_id for one in trust.list_members(tx)}
    for name, rule in tariff.classes.items():
        if rule.subsidy is not None and rule.subsidy.payer not in members:
            field = f"classes.{name}.subsidy.payer"
            what = f"{rule.subsidy.payer!r} is no member of the league"
            found.append(_finding(tariff.source, field, what, "Name a member that pays"))
    digest = digest_of(tariff.source)
    for one in versions:
        if one.valid_from == tariff.valid_from and one.digest != digest:
            what = f"another tariff begins on {tariff.valid_from}"
            found.append(_finding(tariff.source, "valid_from", what, "Give this one another first day"))
        elif one.valid_from > tariff.valid_from and (
            tariff.valid_to is None or tariff.valid_to >= one.valid_from
        ):
            what = f"another tariff begins on {one.valid_from}, which takes the place of this one then"
            found.append(_warning(tariff.source, "valid_from", what, "Nothing, if that is what is meant"))
    return found


def line_of(source: TariffSource, field: str) -> int | None:
    """The line of a field above the first heading, from 1; None where there is none."""
    for number, line in enumerate(source.toml.splitlines(), start=1):
        if line.lstrip().startswith("["):
            return None
        if line.partition("=")[0].strip() == field:
            return number
    return None


def _finding(source: TariffSource, field: str, what: str, remedy: str) -> Finding:
    return Finding("error", _where(source, field), what, remedy)


def _warning(source: TariffSource, field: str, what: str, remedy: str) -> Finding:
    return Finding("warning", _where(source, field), what, remedy)


def _where(source: TariffSource, field: str) -> str:
    line = line_of(source, field)
    return f"tariff.toml line {line}, field {field}" if line else f"tariff.toml, field {field}"


# -- inside -------------------------------------------------------------------------------------------------


def _refuse_what_does_not_fit(source: TariffSource) -> None:
    size = len(source.toml.encode()) + sum(len(text.encode()) for text in source.tables.values())
    problems: list[Problem] = []
    if size > PROPOSAL_BYTES_MAX:
        what = f"text and tables have {size:,} bytes"
        problems.append(Problem("tables", what, f"Send at most {PROPOSAL_BYTES_MAX:,}"))
    if len(source.tables) > TABLES_MAX:
        problems.append(Problem("tables", f"there are {len(source.tables):,}", f"At most {TABLES_MAX}"))
    for name, text in (("tariff.toml", source.toml), *source.tables.items()):
        if "\0" in text or "\0" in name:
            problems.append(Problem(name.replace("\0", ""), "it holds a NUL", "Save it as plain text"))
    for name in source.tables:
        if not _TABLE_NAME.fullmatch(name):
            remedy = "Name it with letters, digits, dots and dashes, ending in .csv"
            problems.append(Problem(name.replace("\0", "")[:100], "is no name of a table", remedy))
    if problems:
        raise InvalidInput("The tariff cannot be kept.", problems=tuple(problems))


def _supersede(tx: Tx, replaced: UUID, by_row: ProposalRow, *, by: str, at: datetime) -> None:
    found = _locked(tx, replaced, at)
    if found.operator_id != by_row.operator_id:
        raise UnknownProposal(f"There is no proposal {replaced} of {by_row.operator_id}.")
    if found.state not in OPEN:
        raise ProposalClosed(f"The proposal that this one would replace is {_said(found.state)}.")
    kept.add_fact(tx, replaced, ProposalFact("superseded", by, at, f"{by_row.proposal_id} replaces it"))


def _refuse_errors(tx: Tx, found: Proposal) -> Checked:
    checked = check_source(tx, found.operator_id, kept.get_source(tx, found.proposal_id))
    if checked.errors:
        raise InvalidInput(
            "The tariff is not sound; nothing was changed.",
            problems=tuple(Problem(one.where, one.what, one.remedy) for one in checked.errors),
        )
    return checked


def _locked(tx: Tx, proposal_id: UUID, at: datetime) -> Proposal:
    kept.lock_row(tx, proposal_id)
    return get_proposal(tx, proposal_id, at)


def _at_step(fact: ProposalFact, step: str) -> ProposalFact:
    return ProposalFact(step, fact.by_whom, fact.at, fact.why, fact.findings, fact.network_version)


def _in_our_time(day: date) -> bool:
    """Whether the days around it are days too, and it is no slip of the pen."""
    return 2000 <= day.year <= 2200


def _today(tariff: Tariff, at: datetime) -> date:
    return service_day(at, tariff.tz, tariff.day_starts)


def _proposal(row: ProposalRow, facts: Sequence[ProposalFact], at: datetime) -> Proposal:
    return Proposal(
        row.proposal_id,
        row.operator_id,
        row.digest,
        row.name,
        row.city_id,
        row.currency,
        row.valid_from,
        row.valid_to,
        row.note,
        row.replaces,
        row.made_by,
        row.made_at,
        _state(row, facts, at),
        tuple(facts),
    )


def _state(row: ProposalRow, facts: Sequence[ProposalFact], at: datetime) -> ProposalState:
    steps = {one.step for one in facts}
    if "cancelled" in steps or "withdrawn" in steps:
        return "withdrawn"
    if "superseded" in steps:
        return "superseded"
    if "approved" not in steps:
        return "proposed" if "proposed" in steps else "draft"
    assert row.valid_from is not None and row.tz is not None and row.day_starts is not None, "it was read"
    today = service_day(at, row.tz, row.day_starts)
    if today < row.valid_from:
        return "scheduled"
    ended = row.valid_to is not None and row.valid_to < today
    followed = row.next_from is not None and row.next_from <= today
    return "past" if ended or followed else "in_force"


def _said(state: ProposalState) -> str:
    words = {"draft": "a draft", "in_force": "in force", "past": "of the past", "proposed": "not decided yet"}
    return words.get(state, state)


__all__ = [
    "PROPOSAL_BYTES_MAX",
    "Checked",
    "DaysAgain",
    "Proposal",
    "ProposalClosed",
    "ProposalConflict",
    "ProposalFact",
    "ProposalState",
    "SamePerson",
    "StartsInThePast",
    "TariffConflict",
    "UnknownProposal",
    "approve_tariff",
    "check_source",
    "days_to_rate_again",
    "get_proposal",
    "list_proposals",
    "proposal_source",
    "propose_tariff",
    "submit_tariff",
    "withdraw_tariff",
]
