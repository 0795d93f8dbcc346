"""Evidence bundles of real gates' taps: checked without a database, and every change is seen."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

from hansa import disputes, ledger, rides, trust
from hansa.apps.dispute_commands import dispute_app
from hansa.disputes import bundle
from hansa.kernel import FixedClock
from hansa.store import Context
from web.little_league import WAY_IN, WAY_OUT, LittleLeague, Phone

Client = TestClient[Any]
Files = dict[str, bytes]


@pytest.fixture
def signer(home: Path) -> ledger.Signer:
    return ledger.Signer(trust.KeyFolder(home / "log"), "hangzhou.example")


@pytest.fixture
def made(ctx: Context, client: Client, league: LittleLeague, signer: ledger.Signer) -> bytes:
    """The bundle of a dispute over a ride through two gates."""
    phone = Phone(ctx, league, "Gao Lan")
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    for gate in (WAY_IN, WAY_OUT):
        client.post(f"/gate/{gate}/read", json={"text": phone.show()})
        clock.at += timedelta(minutes=9)
    rides.rate(ctx)
    rides.post_charges(ctx)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, league.riders["Gao Lan"].account_id)
        item = rides.journey(tx, journey.journey_id).charges[0].transfer_ids[-1]
    issuer = trust.Caller(journey.issuer_id, "member", member_id=trust.MemberId(journey.issuer_id))
    raised = disputes.raise_dispute(
        ctx,
        issuer,
        dispute_id=journey.journey_id,
        item_id=item,
        other_id=journey.operator_id,
        amount_minor=1,
        reason="no_evidence",
        words="Show the taps.",
        evidence={},
    )
    with ctx.tx() as tx:
        return disputes.evidence_bundle(tx, raised.case.dispute_id, signer)


def unpacked(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_bundle_holds_offline_with_the_key_of_its_log(
    made: bytes, signer: ledger.Signer, tmp_path: Path
) -> None:
    checked = disputes.check_bundle(made, log_keys=(str(signer.verifier_key(0)),))
    unsigned = disputes.check_bundle(made)
    file = tmp_path / "case.zip"
    file.write_bytes(made)
    told = CliRunner().invoke(dispute_app, ["verify", str(file), "--log", str(signer.verifier_key(0))])

    assert all(one.ok for one in checked), checked
    assert sum(one.what.startswith("tap ") for one in checked) == 2
    assert [one.ok for one in unsigned].count(False) == 1, unsigned  # nobody vouches for the checkpoint
    assert told.exit_code == 0 and "digest" in told.output


def _with(files: Files, change: Callable[[Any], None]) -> Files:
    """The evidence changed, and the manifest made again by whoever changed it."""
    evidence = json.loads(files[bundle.EVIDENCE])
    change(evidence)
    changed = {**files, bundle.EVIDENCE: bundle.as_json(evidence)}
    del changed[bundle.MANIFEST]
    return unpacked(bundle.pack(changed))


def _later(evidence: Any) -> None:
    evidence["taps"][0]["tapped_at"] = "2026-11-17T03:00:00+00:00"


def _other_list(evidence: Any) -> None:
    evidence["taps"][1]["list_version"] += 1


def _other_transfer(evidence: Any) -> None:
    evidence["charges"][0]["transfer_ids"] = []
    evidence["dispute_transfers"] = []


@pytest.mark.parametrize("change", [_later, _other_list, _other_transfer])
def test_what_gates_and_the_books_said_cannot_be_changed_even_with_new_hashes(
    made: bytes, signer: ledger.Signer, change: Callable[[Any], None]
) -> None:
    changed = zipped(_with(unpacked(made), change))

    checked = disputes.check_bundle(changed, log_keys=(str(signer.verifier_key(0)),))

    assert checked[0].ok and any(one.ok is False for one in checked[1:])


def test_every_file_changed_lost_or_added_is_seen(made: bytes) -> None:
    files = unpacked(made)
    receipt = next(name for name in files if name.startswith(bundle.RECEIPTS))
    changes: list[Files] = [
        {**files, "more.txt": b"x"},
        {name: data for name, data in files.items() if name != receipt},
        {**files, receipt: files[receipt].replace(b'"amount": "', b'"amount": "1')},
        {**files, bundle.EVIDENCE: files[bundle.EVIDENCE].replace(b"Show", b"Hide")},
    ]

    for changed in changes:
        assert disputes.check_bundle(zipped(changed))[0].ok is False


def test_a_bundle_with_any_byte_changed_holds_no_more_or_is_none(made: bytes, signer: ledger.Signer) -> None:
    key = str(signer.verifier_key(0))
    first = disputes.check_bundle(made, log_keys=(key,))[0].told

    for place in range(0, len(made), 41):
        changed = made[:place] + bytes([made[place] ^ 0x15]) + made[place + 1 :]
        try:
            checked = disputes.check_bundle(changed, log_keys=(key,))
        except disputes.BadBundle:
            continue
        # Some bytes of a zip say nothing of its files, such as their dates: then all of it is as it was.
        assert any(one.ok is False for one in checked) or checked[0].told == first


def test_another_logs_key_is_not_believed(made: bytes, tmp_path: Path) -> None:
    other = ledger.Signer(trust.KeyFolder(tmp_path / "other"), "hangzhou.example")

    checked = disputes.check_bundle(made, log_keys=(str(other.verifier_key(0)),))

    assert any(one.ok is False for one in checked)


@pytest.mark.parametrize(
    "data", [b"", b"PK", zipped({"a": b"b"}), zipped({"manifest.json": b"{}", "evidence.json": b"[]"})]
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(disputes.BadBundle):
        disputes.check_bundle(data)
