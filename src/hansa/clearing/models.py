"""The desk of settlement models: one person proposes, another approves, and from a day on a version is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from hansa import trust
from hansa.clearing.agreements import SamePerson
from hansa.clearing.model import UnknownModel
from hansa.clearing.schedule import Model, overlap, read_model
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Context, Tx

LOCK = "lock table clearing.models in share row exclusive mode"

ADD = """
insert into clearing.models (model_id, version, spec, in_force_from, proposed_by, proposed_at, why)
select %(model)s, coalesce(max(version), 0) + 1, %(spec)s, %(since)s, %(by)s, %(at)s, %(why)s
from clearing.models where model_id = %(model)s
returning version
"""

DECIDE = """
insert into clearing.model_decisions (model_id, version, decision, decided_by, decided_at, why)
values (%s, %s, %s, %s, %s, %s)
"""

VERSIONS = """
select m.model_id, m.version, m.spec, m.in_force_from, m.proposed_by, m.proposed_at, m.why,
    d.decision, d.decided_by, d.decided_at, d.why as decided_why
from clearing.models m
left join clearing.model_decisions d using (model_id, version)
where %(model)s::text is null or m.model_id = %(model)s::text
order by m.model_id, m.version
"""


class ModelDecided(HansaError):
    """This version was decided on. Propose another one."""

    code: ClassVar[str] = "clearing.model_decided"
    status: ClassVar[int] = 409


class ModelsOverlap(HansaError):
    """Another model takes some of these positions; every position is in exactly one."""

    code: ClassVar[str] = "clearing.models_overlap"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Version:
    """A settlement model as it was proposed and, if so, decided on. spec: its TOML."""

    model_id: str
    version: int
    spec: str
    in_force_from: date
    proposed_by: str
    proposed_at: datetime
    why: str
    decision: Literal["approved", "refused"] | None
    decided_by: str | None
    decided_at: datetime | None
    decided_why: str | None

    @property
    def model(self) -> Model:
        """What it says."""
        return read_model(self.spec)

    @property
    def since(self) -> datetime:
        """When it comes into force: as its day begins in its own zone, and not before it is approved."""
        assert self.decided_at is not None, "only what is approved is in force"
        zone = ZoneInfo(self.model.tz)
        start = datetime.combine(self.in_force_from, datetime.min.time(), zone).astimezone(
            self.decided_at.tzinfo
        )
        return max(start, self.decided_at)


def propose(
    ctx: Context, spec: str, *, in_force_from: date, by: str, why: str, check: bool = False
) -> Version | Model:
    """Propose a settlement model, from a day on. Proposing the same again gives the version that waits.

    check: only read it. Errors: BadModel with every fault; trust.UnknownMember for whom no position can be of;
    InvalidInput without a reason or for a day that is past; ModelsOverlap. Nothing is kept then.
    """
    model = read_model(spec)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        _check_members(tx, model)
        _check_overlap(model, _standing(tx, now, except_for=model.model_id))
        if check:
            return model
        _need(why, "why", "Say why the model is wanted")
        if in_force_from < now.astimezone(ZoneInfo(model.tz)).date():
            problem = Problem("in_force_from", f"{in_force_from} is past", "Give today or a later day")
            raise InvalidInput("A model cannot hold for what is over.", problems=(problem,))
        tx.execute(LOCK)
        for kept in list_versions(tx, model.model_id):
            if (kept.spec, kept.in_force_from, kept.decision) == (spec, in_force_from, None):
                return kept
        values = {
            "model": model.model_id,
            "spec": spec,
            "since": in_force_from,
            "by": by,
            "at": now,
            "why": why,
        }
        row = tx.execute(ADD, values).fetchone()
        assert row is not None, "an insert returns its row"
        return get_version(tx, model.model_id, row[0])


def decide(
    ctx: Context,
    model_id: str,
    version: int,
    decision: Literal["approved", "refused"],
    *,
    by: str,
    why: str,
) -> Version:
    """Approve or refuse what somebody else proposed. The same decision by the same person again is harmless.

    Errors: UnknownModel; SamePerson; ModelDecided; ModelsOverlap with what was approved since; InvalidInput without a
    reason. Nothing is kept then.
    """
    _need(why, "why", "Say why")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        tx.execute(LOCK)
        found = get_version(tx, model_id, version)
        if found.decision is not None:
            if (found.decision, found.decided_by) == (decision, by):
                return found
            raise ModelDecided(f"Version {version} of {model_id} was {found.decision} by {found.decided_by}.")
        if trust.is_same_person(found.proposed_by, by):
            raise SamePerson
        if decision == "approved":
            _check_overlap(found.model, _standing(tx, now, except_for=model_id))
        tx.execute(DECIDE, (model_id, version, decision, by, now, why))
        return get_version(tx, model_id, version)


def list_versions(tx: Tx, model_id: str | None = None) -> list[Version]:
    """Every version of every model, or of one."""
    with tx.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(VERSIONS, {"model": model_id}).fetchall()


def get_version(tx: Tx, model_id: str, version: int) -> Version:
    """Errors: UnknownModel."""
    for found in list_versions(tx, model_id):
        if found.version == version:
            return found
    raise UnknownModel(f"There is no version {version} of a model {model_id[:20]!r}.")


def list_in_force(tx: Tx, at: datetime) -> list[Model]:
    """The models that hold at an instant, besides the business day."""
    return [model for _, model, _ in _in_force(tx, at)]


def get_in_force(tx: Tx, model_id: str, at: datetime) -> tuple[int, Model, datetime]:
    """The version of a model that holds at an instant, and since when any has. Errors: UnknownModel."""
    for version, model, since in _in_force(tx, at):
        if model.model_id == model_id:
            return version, model, since
    raise UnknownModel(f"No settlement model {model_id[:20]!r} is in force.")


def _in_force(tx: Tx, at: datetime) -> list[tuple[int, Model, datetime]]:
    """Of each model the newest version that holds, and since when the first one did."""
    found: dict[str, tuple[int, Model, datetime]] = {}
    for one in list_versions(tx):
        if one.decision == "approved" and one.since <= at:
            first = found[one.model_id][2] if one.model_id in found else one.since
            found[one.model_id] = (one.version, one.model, first)
    return list(found.values())


def _standing(tx: Tx, at: datetime, *, except_for: str) -> list[Model]:
    """What holds or will hold of other models: the newest version in force, and those approved for later."""
    newest = {model.model_id: model for model in list_in_force(tx, at)}
    later = [one.model for one in list_versions(tx) if one.decision == "approved" and one.since > at]
    return [model for model in (*newest.values(), *later) if model.model_id != except_for]


def _check_overlap(model: Model, others: Sequence[Model]) -> None:
    found = overlap(model, others)
    if found is not None:
        takes, other = found
        what = f"{takes.issuer} to {takes.operator}, {takes.currency}, {takes.product}"
        raise ModelsOverlap(f"{other.model_id} takes some of {what} too. Take it out of one of the two.")


def _check_members(tx: Tx, model: Model) -> None:
    for takes in model.takes:
        for member in (takes.issuer, takes.operator):
            if member != "*":
                trust.get_member(tx, trust.MemberId(member))


def _need(text: str, field: str, remedy: str) -> None:
    if not text.strip():
        raise InvalidInput("A reason is needed.", problems=(Problem(field, "it is empty", remedy),))
