"""The SQL of proofs."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb

from hansa.reconciliation.model import Finding, Proof, Step, StepName
from hansa.store import Tx

LOCK_DAY = "select pg_advisory_xact_lock(hashtextextended('reconciliation.proofs ' || %s::date, 0))"

LATEST_NUMBER = "select coalesce(max(number), 0) from reconciliation.proofs where day = %s"

ADD_PROOF = """
insert into reconciliation.proofs (day, number, made_at, made_by, verdict, windows, steps)
values (%s, %s, %s, %s, %s, %s, %s)
"""

PROOFS = """
select day, number, made_at, made_by, windows, steps
from reconciliation.proofs
where day = %s
order by number desc
limit %s
"""

LATEST_PROOFS = """
select distinct on (day) day, number, made_at, made_by, windows, steps
from reconciliation.proofs
where %(before)s::date is null or day < %(before)s
order by day desc, number desc
limit %(limit)s
"""


def lock_day(tx: Tx, day: date) -> int:
    """Nobody else proves this day until the transaction ends; how often it was proved."""
    tx.execute(LOCK_DAY, (day,))
    row = tx.execute(LATEST_NUMBER, (day,)).fetchone()
    assert row is not None, "an aggregate returns a row"
    return row[0]


def add_proof(tx: Tx, proof: Proof) -> None:
    """Keep a proof."""
    values = (proof.day, proof.number, proof.made_at, proof.made_by, proof.verdict.value, list(proof.windows))
    tx.execute(ADD_PROOF, (*values, Jsonb([asdict(step) for step in proof.steps])))


def list_proofs(tx: Tx, day: date, limit: int) -> list[Proof]:
    """The proofs of a day, latest first."""
    return [_proof(row) for row in tx.execute(PROOFS, (day, limit)).fetchall()]


def latest_proofs(tx: Tx, before: date | None, limit: int) -> list[Proof]:
    """The latest proof of each day, latest day first."""
    return [_proof(row) for row in tx.execute(LATEST_PROOFS, {"before": before, "limit": limit}).fetchall()]


def _proof(row: tuple[Any, ...]) -> Proof:
    day, number, made_at, made_by, windows, steps = row
    return Proof(day, number, made_at, made_by, tuple(windows), tuple(map(_step, steps)))


def _step(kept: Mapping[str, Any]) -> Step:
    name = StepName(kept["name"])
    findings = tuple(
        Finding(name, one["ref"], one["words"], one["currency"], one["minor"]) for one in kept["findings"]
    )
    return Step(name, kept["counted"], kept["sums"], kept["waiting"], kept["unexplained"], findings)
