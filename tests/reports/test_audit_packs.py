"""Audit packs: they prove themselves without a database, and whatever is done to one is seen."""

import hashlib
import json
import socket
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from clearing.example_day import DAY, RIDES, ride_all
from hansa import ledger, reports
from hansa.clearing import day_window
from hansa.reports import audit
from hansa.store import Context
from hansa.trust import KeyFolder, tlog
from reports.test_statements import NEXT, close, pay, ride

WINDOW = day_window(DAY)

Files = dict[str, bytes]


class Office:
    """A city's office: its log key, and a pack of the worked example."""

    def __init__(self, ctx: Context, home: Path) -> None:
        self.keys = KeyFolder(home / "keys")
        self.signer = ledger.signer_for(self.keys, "city.example")
        self.ctx, self.home = ctx, home

    def pack(self, name: str = "pack.zip", window: str = WINDOW) -> Path:
        made = reports.audit_pack(self.ctx, window, self.home / name, self.signer, self.keys.log())
        return made.path

    @property
    def key(self) -> str:
        return str(self.signer.verifier_key(0))


@pytest.fixture
def office(ctx: Context, tmp_path: Path) -> Office:
    ride_all(ctx)
    close(ctx)
    pay(ctx)
    return Office(ctx, tmp_path)


def unpacked(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def hashed_anew(files: Files) -> Files:
    """The manifest as a forger would make it, who has no key."""
    hashes = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name not in (audit.MANIFEST, audit.NOTE)
    }
    return {**files, audit.MANIFEST: audit.as_json({"format": audit.FORMAT, "files": hashes})}


def wrong(path: Path, key: str) -> set[str]:
    """The checks that do not hold."""
    return {one.what for one in reports.check_pack(path, log_keys=[key]) if one.ok is False}


def test_a_pack_proves_itself(office: Office) -> None:
    path = office.pack()

    checked = {one.what: (one.ok, one.told) for one in reports.check_pack(path, log_keys=[office.key])}

    assert all(ok for ok, _ in checked.values()), checked
    assert list(checked) == [
        *("files", "signature", "log 0: blocks", "log 0: checkpoint", "items 0", "figures", "positions"),
        *("nets", "agreements", "statements", "bank files", "settled"),
    ]
    assert checked["items 0"][1] == f"{len(RIDES)}, each in the log"
    assert checked["settled"][1] == "8 of 8 nets"


def test_nothing_is_asked_of_anybody(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    path = office.pack()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pack is checked alone")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert wrong(path, office.key) == set()


def test_the_same_window_gives_the_same_bytes(office: Office) -> None:
    assert office.pack("one.zip").read_bytes() == office.pack("two.zip").read_bytes()


def test_without_a_key_the_signatures_stay_open(office: Office) -> None:
    checked = {one.what: one.ok for one in reports.check_pack(office.pack())}

    assert checked.pop("signature") is None and checked.pop("log 0: checkpoint") is None
    assert all(checked.values())


def test_another_citys_key_is_not_believed(office: Office, tmp_path: Path) -> None:
    other = ledger.signer_for(KeyFolder(tmp_path / "other"), "city.example")

    assert {"signature", "log 0: checkpoint"} <= wrong(office.pack(), str(other.verifier_key(0)))


def test_rows_of_riders_are_not_in_it(office: Office) -> None:
    """Entries of top-ups and of clearing itself are hashes; only items are opened."""
    files = unpacked(office.pack())

    rows = files["items/0.csv"].decode().splitlines()[1:]
    entries = len(files["log/0.entries"]) // 32
    assert len(rows) == len(RIDES) < entries
    codes = {tlog.decode_row(bytes.fromhex(row.rsplit(",", 1)[1])).code for row in rows}
    assert codes == {int(ledger.TransferCode.FARE), int(ledger.TransferCode.FARE_CORRECTION)}


def test_each_file_changed_left_out_or_swapped_is_seen(office: Office, tmp_path: Path) -> None:
    files = unpacked(office.pack())
    names = [name for name in files if name not in (audit.MANIFEST, audit.NOTE)]
    spoilt = tmp_path / "spoilt.zip"

    for place, name in enumerate(names):
        data = files[name]
        at = len(data) // 2
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert "files" in wrong(packed(spoilt, {**files, name: changed}), office.key), name
        left_out = {one: data for one, data in files.items() if one != name}
        assert "files" in wrong(packed(spoilt, left_out), office.key), name
        other = names[place - 1]
        swapped = {**files, name: files[other], other: data}
        assert "files" in wrong(packed(spoilt, swapped), office.key), name
    assert "files" in wrong(packed(spoilt, {**files, "more.txt": b"more"}), office.key)
    for name in (audit.MANIFEST, audit.NOTE):
        changed = files[name].replace(b"e", b"f", 1)
        try:
            assert wrong(packed(spoilt, {**files, name: changed}), office.key), name
        except reports.BadPack:
            continue


def test_a_file_twice_is_seen(office: Office, tmp_path: Path) -> None:
    files = unpacked(office.pack())
    path = packed(tmp_path / "twice.zip", files)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("nets.csv", files["nets.csv"])

    assert "files" in wrong(path, office.key)


def replaced(files: Files, name: str, old: str, new: str) -> Files:
    assert old.encode() in files[name], (name, files[name][:400])
    return {**files, name: files[name].replace(old.encode(), new.encode(), 1)}


def without_first_item(files: Files) -> Files:
    head, _, rest = files["items/0.csv"].split(b"\r\n", 2)
    return {**files, "items/0.csv": head + b"\r\n" + rest}


def item_twice(files: Files) -> Files:
    head, first, rest = files["items/0.csv"].split(b"\r\n", 2)
    return {**files, "items/0.csv": b"\r\n".join((head, first, first, rest))}


def an_entry_changed(files: Files) -> Files:
    return {**files, "log/0.entries": bytes([files["log/0.entries"][0] ^ 1]) + files["log/0.entries"][1:]}


def an_entry_less(files: Files) -> Files:
    return {**files, "log/0.entries": files["log/0.entries"][:-32]}


FORGERIES: list[tuple[str, Callable[[Files], Files]]] = [
    ("items 0", lambda files: replaced(files, "items/0.csv", ",700,", ",701,")),
    (
        "items 0",
        lambda files: replaced(files, "items/0.csv", "hangzhou-card,beijing", "beijing-card,beijing"),
    ),
    ("items 0", item_twice),
    ("figures", without_first_item),
    ("log 0: blocks", an_entry_changed),
    ("pack", an_entry_less),
    ("log 0: blocks", lambda files: replaced(files, "log/0.json", '"number": 2', '"number": 3')),
    ("log 0: checkpoint", lambda files: replaced(files, "log/0.checkpoint", "city.example", "city.examplf")),
    ("figures", lambda files: replaced(files, "figures.csv", ",2,2,1100", ",2,2,1101")),
    ("positions", lambda files: replaced(files, "positions.csv", ",3,900,886,11,3,", ",3,900,885,11,3,")),
    ("nets", lambda files: replaced(files, "nets.csv", "beijing,CNY,982", "beijing,CNY,983")),
    ("statements", lambda files: replaced(files, "statements/beijing.csv", ",982,", ",983,")),
    ("statements", lambda files: {k: v for k, v in files.items() if k != "statements/beijing.csv"}),
    ("bank files", lambda files: replaced(files, "payments.csv", ",982,", ",983,")),
    ("bank files", lambda files: replaced(files, "bank/files/HANSA-20261117-CNY.xml", "9.82", "9.83")),
    ("pack", lambda files: {**files, "bank/files/HANSA-20261117-CNY.xml": with_a_document_type(files)}),
    ("agreements", lambda files: {**files, "agreements.json": b"[]"}),
]


def with_a_document_type(files: Mapping[str, bytes]) -> bytes:
    """The same payments in other bytes, with a document type, by which XML reads files and swells."""
    text = files["bank/files/HANSA-20261117-CNY.xml"].decode()
    declared = text.partition("?>")[2]
    return f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE Document [<!ENTITY a "b">]>{declared}'.encode(
        "utf-16"
    )


def test_hashes_made_anew_do_not_help(office: Office, tmp_path: Path) -> None:
    files = unpacked(office.pack())
    for number, (check, forge) in enumerate(FORGERIES):
        path = packed(tmp_path / "forged.zip", hashed_anew(forge(files)))

        assert {check, "signature"} <= wrong(path, office.key), (number, check)
        without_key = {one.what for one in reports.check_pack(path) if one.ok is False}
        assert check in without_key and "files" not in without_key, (number, check)


def test_a_later_day_goes_on_in_the_log(ctx: Context, office: Office) -> None:
    ride(ctx, [300], [("beijing-card", "hong-kong-mtr", 2_500)])
    close(ctx, NEXT)

    path = office.pack("later.zip", day_window(NEXT))

    assert wrong(path, office.key) == set()
    log = json.loads(unpacked(path)["log/0.json"])
    assert log["size_before"] > 0 and log["blocks"][0]["number"] > 1


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_pack_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(data)

    with pytest.raises(reports.BadPack):
        reports.check_pack(path)
