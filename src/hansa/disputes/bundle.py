"""An evidence bundle: one zip with all that is known of a disputed ride, and what can be checked in it offline.

``evidence.json`` tells the dispute, the journey, its taps with the gate's clock, code and list version, the fare with
its clauses, and the charges. ``receipts/`` proves each transfer to stand in the log. ``manifest.json`` has the hash of
every file; whoever sends a bundle tells its digest, which is the hash of the manifest.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, cast
from uuid import UUID

from hansa.codes import tap_link
from hansa.kernel import HansaError
from hansa.trust.tlog.standalone import hansa_verify

EVIDENCE, MANIFEST, RECEIPTS = "evidence.json", "manifest.json", "receipts/"
SIZE_MAX = 16 * 1024 * 1024
"""Bytes of a bundle unpacked; a ride has some dozens of kilobytes."""


# What reading bytes that anybody may have made can raise; RuntimeError is a zip that is locked or of an odd kind.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, RuntimeError, EOFError),
    *(KeyError, TypeError, ValueError, AttributeError, OverflowError),
)


class BadBundle(HansaError):
    """This is no evidence bundle."""

    code: ClassVar[str] = "disputes.bad_bundle"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was checked. ok: None where the bundle does not hold what it takes to tell."""

    what: str
    ok: bool | None
    told: str


def pack(files: Mapping[str, bytes]) -> bytes:
    """A bundle of these files; the same files give the same bytes."""
    hashes = {name: sha256(data).hexdigest() for name, data in sorted(files.items())}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((MANIFEST, as_json(hashes)), *sorted(files.items())):
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


def as_json(value: object) -> bytes:
    """JSON for a file that is hashed: sorted and indented."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode()


def check(data: bytes, *, log_keys: tuple[str, ...] = ()) -> list[Checked]:
    """Check a bundle without any database. log_keys: verifier keys of the logs to believe; receipts of others fail.

    Errors: BadBundle when it cannot be read at all.
    """
    try:
        files = _unpack(data)
        hashes = cast(dict[str, str], json.loads(files.pop(MANIFEST)))
        evidence = cast(dict[str, Any], json.loads(files[EVIDENCE]))
        taps = cast(list[dict[str, Any]], evidence["taps"])
        wanted = {one for charge in evidence["charges"] for one in charge["transfer_ids"]}
        wanted |= set(evidence["dispute_transfers"])
        told = sha256(as_json(hashes)).hexdigest()
        found = {name: sha256(one).hexdigest() for name, one in files.items()}
        checked = [
            Checked(
                "files", found == hashes, f"digest {told}" if found == hashes else _differs(found, hashes)
            )
        ]
        checked += [_check_tap(one) for one in taps]
        receipts = {name: one for name, one in files.items() if name.startswith(RECEIPTS)}
        have = {name.removeprefix(RECEIPTS).removesuffix(".json") for name in receipts}
        checked.append(Checked("receipts", have == wanted, f"{len(have)} of {len(wanted)} transfers"))
        for name, one in sorted(receipts.items()):
            checked += _check_receipt(name, one, log_keys)
    except _UNREADABLE as error:
        raise BadBundle(f"This is no evidence bundle: {error}") from error
    return checked


def _unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        names = [one.filename for one in infos]
        if sum(one.file_size for one in infos) > SIZE_MAX or len(set(names)) != len(names):
            raise BadBundle("It is larger than a ride's evidence, or has a file twice.")
        return {name: archive.read(name) for name in names}


def _differs(found: Mapping[str, str], hashes: Mapping[str, str]) -> str:
    odd = sorted(name for name in {*found, *hashes} if found.get(name) != hashes.get(name))
    return f"changed, missing or added: {', '.join(odd)[:200]}"


def _check_tap(tap: Mapping[str, Any]) -> Checked:
    """A tap's link follows from the one before; a gate that is fixed to a stop may have left the stop out."""
    what = f"tap {tap['gate_id']} {tap['sequence']}"
    if tap["link_before"] is None:
        return Checked(what, None, "the tap before it has not come")
    links = [
        tap_link(
            bytes.fromhex(tap["link_before"]),
            tap_id=UUID(tap["tap_id"]),
            gate_id=tap["gate_id"],
            sequence=tap["sequence"],
            action=tap["action"],
            stop_id=stop_id,
            tapped_at=datetime.fromisoformat(tap["tapped_at"]),
            cti=bytes.fromhex(tap["cti"]),
            counter=tap["counter"],
            kid=bytes.fromhex(tap["kid"]),
            made_at=datetime.fromisoformat(tap["made_at"]),
            list_version=tap["list_version"],
            companion=tap["companion"],
        ).hex()
        for stop_id in (tap["stop_id"], None)
    ]
    return Checked(what, tap["chain"] in links, "its link follows from the one before")


def _check_receipt(name: str, data: bytes, log_keys: tuple[str, ...]) -> list[Checked]:
    """A receipt agrees with its name and itself, and leads to a checkpoint that a log to be believed has signed."""
    try:
        receipt = hansa_verify.read_receipt(data)
        keys = [hansa_verify.parse_key(one) for one in log_keys]
        own = next((one for one in keys if one.name == receipt.origin), None)
        policy = hansa_verify.Policy(own, (), 0)
    except hansa_verify.Unproven as error:
        return [Checked(name, False, str(error))]
    named = f"{RECEIPTS}{receipt.transfer.transfer_id}.json" == name
    steps = [one for one in hansa_verify.check_receipt(data, policy) if "witness" not in one.name.lower()]
    return [
        Checked(name, named, "is of the transfer that it is named by"),
        *(Checked(f"{name}: {one.name}", one.ok, one.detail) for one in steps),
    ]
