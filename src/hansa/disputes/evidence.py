"""What is known of a disputed ride, put together for an arbiter: read from the books, packed as a bundle."""

from datetime import datetime
from typing import Any
from uuid import UUID

from hansa import ledger, rides
from hansa.disputes import actions, bundle
from hansa.disputes.life import Kind
from hansa.disputes.model import Dispute
from hansa.kernel import Money
from hansa.store import Tx


def evidence_bundle(tx: Tx, dispute_id: UUID, signer: ledger.Signer) -> bytes:
    """The evidence bundle of a dispute, as a zip; ``bundle.check`` checks it offline.

    Whoever has it can read the ride and its transfers, so give it to the sides of the dispute alone.
    Errors: UnknownDispute.
    """
    dispute = actions.get_dispute(tx, dispute_id)
    journey_id = rides.JourneyId(dispute.case.root_id)
    detail = rides.journey(tx, journey_id) if rides.find_journeys(tx, [journey_id]) else None
    own = _dispute_transfers(tx, dispute)
    evidence = {
        "dispute": _dispute(dispute),
        "dispute_transfers": [str(one) for one in own],
        "journey": None if detail is None else _journey(detail.journey),
        "taps": [] if detail is None else _taps(tx, detail),
        "charges": [] if detail is None else [_charge(one) for one in detail.charges],
    }
    wanted = {one for charge in detail.charges for one in charge.transfer_ids} if detail else set[UUID]()
    files = {bundle.EVIDENCE: bundle.as_json(evidence)}
    for transfer_id in sorted({*wanted, *own}):
        receipt = ledger.receipt(tx, ledger.TransferId(transfer_id), signer)
        files[f"{bundle.RECEIPTS}{transfer_id}.json"] = f"{receipt}\n".encode()
    return bundle.pack(files)


def _dispute_transfers(tx: Tx, dispute: Dispute) -> list[UUID]:
    """The disputed item and the chargebacks; what a refund moved is under the ids of payments."""
    if dispute.case.kind is Kind.REFUND:
        return []
    ids = [dispute.case.subject_id, *(one.booking_id for one in dispute.bookings)]
    return [one for one in ids if ledger.find_transfer(tx, ledger.TransferId(one)) is not None]


def _dispute(dispute: Dispute) -> dict[str, Any]:
    case = dispute.case
    return {
        "dispute_id": str(case.dispute_id),
        "kind": case.kind,
        "issuer_id": case.issuer_id,
        "operator_id": case.operator_id,
        "claim": _money(case.claim),
        "reason": case.reason,
        "evidence": dict(case.evidence),
        "state": case.state,
        "facts": [
            {
                "n": one.n,
                "action": one.action,
                "side": one.side,
                "who": one.caller_id,
                "at": one.at.isoformat(),
                "words": one.words,
                "amount_minor": one.amount_minor,
                "state": one.state,
                "due_at": _instant(one.due_at),
            }
            for one in dispute.facts
        ],
    }


def _journey(one: rides.JourneyRecord) -> dict[str, Any]:
    return {
        "journey_id": str(one.journey_id),
        "service_day": one.service_day.isoformat(),
        "kind": one.kind,
        "status": one.status,
        "origin": one.origin,
        "destination": one.destination,
        "line_id": one.line_id,
        "started_at": one.started_at.isoformat(),
        "ended_at": one.ended_at.isoformat(),
        "rider_class": one.rider_class,
        "fare": _money(one.fare),
        "steps": [{"rule": step.rule, "clause": step.clause, "words": step.said("en")} for step in one.steps],
        "notes": [{"rule": step.rule, "words": step.said("en")} for step in one.notes],
        "tariff_from": one.tariff_valid_from.isoformat(),
        "network_version": one.network_version,
    }


def _taps(tx: Tx, detail: rides.JourneyDetail) -> list[dict[str, Any]]:
    before = rides.links_before(tx, detail.taps)
    return [
        {
            "tap_id": str(one.tap_id),
            "gate_id": one.gate_id,
            "sequence": one.sequence,
            "action": one.action,
            "stop_id": one.stop_id,
            "tapped_at": one.tapped_at.isoformat(),
            "cti": one.cti.hex(),
            "counter": one.counter,
            "kid": one.kid.hex(),
            "made_at": one.made_at.isoformat(),
            "list_version": one.list_version,
            "companion": one.companion,
            "chain": one.chain.hex(),
            "link_before": before[one.tap_id].hex() if one.tap_id in before else None,
        }
        for one in detail.taps
    ]


def _charge(one: rides.ChargeRecord) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "status": one.status,
        "amount": _money(one.amount),
        "transfer_ids": [str(each) for each in one.transfer_ids],
        "posted_at": _instant(one.posted_at),
    }


def _money(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
