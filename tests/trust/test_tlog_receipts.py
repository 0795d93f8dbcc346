"""Receipts, checked by Hansa, by the one-file verifier, and in JavaScript: all three must say the same."""

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.kernel import HansaError
from hansa.trust import tlog
from hansa.trust.tlog import (
    BadNote,
    BadPolicy,
    BadProof,
    BadReceipt,
    BadSignature,
    Note,
    NotIncluded,
    NotSigned,
    Policy,
    Proof,
    QuorumMissed,
    Receipt,
    Row,
    VerifierKey,
)
from hansa.trust.tlog.standalone import hansa_verify
from trust.tlog_books import NOON, ORIGIN, Books, books, cosigned, key_of, row_of, witness_key

VERIFIER = Path(hansa_verify.__file__)
MODULE = Path(__file__).parents[2] / "src/hansa/apps/web/static/js/receipt.js"
NODE = next(
    filter(None, [shutil.which("node", path=str(Path(sys.executable).parent)), shutil.which("node")]), None
)
PARIS, ROME, OSLO = "paris.example/w", "rome.example/w", "oslo.example/w"
CITY = books(1000)


def policy(*witnesses: str, quorum: int = 0, city: Books = CITY) -> Policy:
    return Policy((city.verifier_key,), tuple(map(witness_key, witnesses)), quorum)


def verify(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The verifier as a rider runs it: alone, with nothing but Python."""
    return subprocess.run(
        [sys.executable, "-I", "-S", VERIFIER, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "PYTHONUTF8": "1"},
    )


# The proof


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (299, 300), (256, 1000), (999, 1000)])
def test_a_proof_says_where_the_entry_stands_and_who_saw_it(index: int, size: int) -> None:
    receipt = CITY.receipt(index, size, witnesses=[PARIS, ROME])

    proven = Proof.parse(str(receipt.proof)).verify(CITY.entries[index], policy(PARIS, OSLO, quorum=1))

    assert (proven.index, proven.checkpoint.size, proven.checkpoint.origin) == (index, size, ORIGIN)
    assert [(each.name, each.at) for each in proven.witnessed] == [(PARIS, NOON)]


def test_a_proof_is_written_as_the_specification_has_it() -> None:
    proof = replace(CITY.receipt(2, 5).proof, extra=b"hello")

    lines = str(proof).split("\n")

    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra aGVsbG8=", "index 2"]
    assert [len(line) for line in lines[3:6]] == [44, 44, 44]
    assert lines[6:9] == ["", ORIGIN, "5"]
    assert Proof.parse(str(proof)) == proof


@pytest.mark.parametrize(
    ("part", "spoilt"),
    [
        ("@v1", "@v2"),
        ("index 2", "index 02"),
        ("index 2", "index -2"),
        ("index 2", "Index 2"),
        ("index 2\n", ""),
        ("index 2", "extra \nindex 2"),
        ("index 2", "extra !\nindex 2"),
        ("index 2", "index 2\nAAAA"),
        ("index 2", "index 2" + f"\n{'A' * 43}=" * 64),
        ("\n", "\r\n"),
        ("\n\n", "\n"),
    ],
)
def test_what_is_no_proof_is_refused(part: str, spoilt: str) -> None:
    with pytest.raises((BadProof, BadNote)):
        Proof.parse(str(CITY.receipt(2, 5).proof).replace(part, spoilt))


@given(st.integers(0, 999), st.integers(0, 255))
@settings(deadline=None, max_examples=50)
def test_another_entry_does_not_prove(index: int, bit: int) -> None:
    entry = (int.from_bytes(CITY.entries[index], "big") ^ 1 << bit).to_bytes(32, "big")

    with pytest.raises(NotIncluded):
        CITY.receipt(index, 1000).proof.verify(entry, policy())


# witnesses that signed | asked for | quorum | believed
QUORUMS = [
    ([], [], 0, True),
    ([], [PARIS], 0, True),
    ([], [PARIS], 1, False),
    ([PARIS], [PARIS], 1, True),
    ([ROME], [PARIS], 1, False),
    ([PARIS], [PARIS, ROME], 2, False),
    ([PARIS, ROME], [PARIS, ROME, OSLO], 2, True),
    ([PARIS, PARIS], [PARIS, ROME], 2, False),
]


@pytest.mark.parametrize(("signed", "asked", "quorum", "believed"), QUORUMS)
def test_a_checkpoint_needs_its_quorum(
    signed: list[str], asked: list[str], quorum: int, believed: bool
) -> None:
    note = CITY.checkpoint(7)
    for number, name in enumerate(signed):
        note = cosigned(note, [name], datetime(2026, 1, 1 + number, tzinfo=UTC))

    if believed:
        tlog.verify_checkpoint(note, policy(*asked, quorum=quorum))
    else:
        with pytest.raises(QuorumMissed):
            tlog.verify_checkpoint(note, policy(*asked, quorum=quorum))


def test_a_log_answers_for_its_own_name_only() -> None:
    forged = tlog.Checkpoint("paris.example/ledger/0", 7, CITY.root(7))
    note = Note(forged.text, (tlog.sign(forged.text, name=ORIGIN, key=CITY.key),))

    with pytest.raises(NotSigned):
        tlog.verify_checkpoint(note, policy())


def test_a_false_cosignature_spoils_the_checkpoint() -> None:
    false = tlog.Signature(PARIS, witness_key(PARIS).key_id, bytes(72))
    note = cosigned(CITY.checkpoint(7), [ROME]).with_signatures([false])

    with pytest.raises(BadSignature):
        tlog.verify_checkpoint(note, policy(PARIS, ROME, quorum=1))


LOG, WITNESS = CITY.verifier_key, witness_key(PARIS)
SAME_BYTES = VerifierKey(ROME, WITNESS.kind, WITNESS.public)
LOG_AS_WITNESS = VerifierKey(PARIS, WITNESS.kind, LOG.public)


@pytest.mark.parametrize(
    ("logs", "witnesses", "quorum"),
    [
        ((WITNESS,), (), 0),
        ((LOG,), (LOG,), 0),
        ((LOG, LOG), (), 0),
        ((LOG,), (WITNESS, SAME_BYTES), 2),
        ((LOG,), (LOG_AS_WITNESS,), 1),
        ((LOG,), (WITNESS,), 2),
        ((LOG,), (WITNESS,), -1),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(
    logs: tuple[VerifierKey, ...], witnesses: tuple[VerifierKey, ...], quorum: int
) -> None:
    with pytest.raises(BadPolicy):
        Policy(logs, witnesses, quorum)


# The row


def test_a_row_has_its_bytes_in_their_places() -> None:
    data = tlog.encode_row(row_of(7, memo="é"))

    assert len(data) == 141 + 2
    assert data[:14].hex() == "0000" + "0000000000000002" + "00000001"
    assert data[14:30] == row_of(7).transfer_id.bytes
    assert int.from_bytes(data[62:78], "big") == 287
    assert data[78:94] == bytes(16)
    assert data[110:125] == b"\x00\x00\x00\x07\x00\x00\x00\x00GBP\x00\x07\x00\x02"
    assert data[141:] == "é".encode()


ids = st.uuids().filter(lambda each: each.int != 0)
micros = st.integers(-(2**63), 2**63 - 1)


@given(
    st.builds(
        Row,
        partition=st.integers(0, 2**16 - 1),
        block=st.integers(0, 2**64 - 1),
        position=st.integers(0, 2**32 - 1),
        transfer_id=ids,
        debit_account=ids,
        credit_account=ids,
        amount=st.integers(0, 2**128 - 1),
        pending_id=st.none() | ids,
        reference=st.none() | ids,
        tag=st.integers(0, 2**32 - 1),
        timeout_s=st.integers(0, 2**32 - 1),
        currency=st.from_regex("[A-Z]{3}", fullmatch=True),
        code=st.integers(0, 2**16 - 1),
        flags=st.integers(0, 2**16 - 1),
        event_at=micros,
        booked_at=micros,
        memo=st.text(),
    )
)
def test_a_row_comes_back_as_it_was(row: Row) -> None:
    assert tlog.decode_row(tlog.encode_row(row)) == row


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 2**128},
        {"amount": -1},
        {"partition": 65_536},
        {"currency": "gbp"},
        {"currency": "GB"},
        {"currency": "EURO"},
        {"currency": "£GB"},
        {"event_at": 2**63},
        {"memo": "\ud800"},
    ],
)
def test_what_does_not_fit_a_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(hansa_verify.Unproven):
        tlog.encode_row(replace(row_of(1), **change))


@pytest.mark.parametrize("data", [b"", bytes(140), bytes(141), tlog.encode_row(row_of(1)) + b"\xff"])
def test_bytes_that_are_no_row_are_refused(data: bytes) -> None:
    with pytest.raises(hansa_verify.Unproven):
        tlog.decode_row(data)


# The receipt, by all three


@dataclass(frozen=True)
class Case:
    """A receipt's JSON, whom to believe, and whether it proves."""

    name: str
    told: dict[str, Any]
    proves: bool
    log_key: str | None = str(CITY.verifier_key)
    witnesses: tuple[str, ...] = ()
    quorum: int | None = None


def told_of(receipt: Receipt) -> dict[str, Any]:
    return json.loads(str(receipt))


def changed(**fields: Any) -> dict[str, Any]:
    return told_of(CITY.receipt(300, 1000, witnesses=[PARIS, ROME])) | fields


def with_transfer(**fields: Any) -> dict[str, Any]:
    told = changed()
    return told | {"transfer": told["transfer"] | fields}


def resigned(row: Row) -> dict[str, Any]:
    """A receipt of another row that is put in the place of the true one, readable part and all."""
    true = CITY.receipt(300, 1000, witnesses=[PARIS, ROME])
    return told_of(replace(true, row=tlog.encode_row(row)))


def with_proof(change: Callable[[str], str]) -> dict[str, Any]:
    told = changed()
    return told | {"proof": change(told["proof"])}


def cases() -> list[Case]:
    paris, rome, oslo = (str(witness_key(name)) for name in (PARIS, ROME, OSLO))
    tampered = Books(1000, salted="other")
    forged = CITY.receipt(300, 1000)
    false = str(tlog.Signature(PARIS, witness_key(PARIS).key_id, bytes(72)))
    with_false = told_of(CITY.receipt(300, 1000, witnesses=[ROME]))
    with_false["proof"] += false
    elsewhere = tlog.Checkpoint("paris.example/ledger/0", 1000, CITY.root(1000)).text
    by_london = Note(elsewhere, (tlog.sign(elsewhere, name=ORIGIN, key=CITY.key),))
    abroad = replace(
        forged, origin="paris.example/ledger/0", proof=replace(forged.proof, checkpoint=by_london)
    )
    no_memo = told_of(replace(CITY.receipt(1, 2), row=tlog.encode_row(row_of(1, memo=""))))
    return [
        Case("as given out", changed(), True),
        Case("the first of one", told_of(CITY.receipt(0, 1)), True),
        Case("the last of many", told_of(CITY.receipt(999, 1000)), True),
        Case("the last, alone on its level", told_of(CITY.receipt(256, 257)), True),
        Case("both witnesses", changed(), True, witnesses=(paris, rome)),
        Case("one of two is enough", changed(), True, witnesses=(paris, oslo), quorum=1),
        Case("both are wanted", changed(), False, witnesses=(paris, oslo)),
        Case("a witness that never signed", changed(), False, witnesses=(oslo,)),
        Case("a false line in a witness's name", with_false, False, witnesses=(paris, rome), quorum=1),
        Case("a false line in a stranger's name", with_false, True, witnesses=(rome,)),
        Case("no log key", changed(), False, log_key=None),
        Case(
            "another log's key",
            changed(),
            False,
            log_key=str(Books(1, origin="paris.example/0").verifier_key),
        ),
        Case(
            "another key under the log's name",
            changed(),
            False,
            log_key=str(VerifierKey.of(key_of("thief"), ORIGIN)),
        ),
        Case("another amount shown", with_transfer(amount="1"), False),
        Case("the amount as a number", with_transfer(amount=580), False),
        Case("another memo shown", with_transfer(memo="Refund"), False),
        Case("another time shown", with_transfer(booked_at="2026-11-17T12:00:00.000000Z"), False),
        Case("more shown than there is", with_transfer(paid="£5,000"), False),
        Case("no transfer shown", changed(transfer=None), False),
        Case("another amount booked", resigned(replace(row_of(300), amount=1)), False),
        Case("another memo booked", no_memo, False),
        Case("another place", changed(index=301), False),
        Case(
            "another place in proof too",
            with_proof(lambda t: t.replace("index 300", "index 301")) | {"index": 301},
            False,
        ),
        Case(
            "a place outside",
            with_proof(lambda t: t.replace("index 300", "index 1000")) | {"index": 1000},
            False,
        ),
        Case("another partition", changed(partition=1), False),
        Case("another origin", changed(origin="paris.example/ledger/0"), False),
        Case("another salt", changed(salt="00" * 16), False),
        Case("a short salt", changed(salt="00" * 15), False),
        Case("a salt in capitals", changed(salt=CITY.salts[300].hex().upper()), False),
        Case("an unknown version", changed(version=2), False),
        Case("a version that is true", changed(version=True), False),
        Case("a row cut short", changed(row="00" * 140), False),
        Case("a field too many", changed(note="proven by nobody"), False),
        Case("a field too few", {name: value for name, value in changed().items() if name != "salt"}, False),
        Case("no proof", changed(proof=""), False),
        Case("a proof that is a number", changed(proof=5), False),
        Case("another size", with_proof(lambda text: text.replace("\n1000\n", "\n1001\n")), False),
        Case(
            "a step too few",
            with_proof(lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:])),
            False,
        ),
        Case(
            "a step too many",
            with_proof(lambda text: text.replace("index 300", f"index 300\n{'A' * 43}=")),
            False,
        ),
        Case("Windows line ends", with_proof(lambda text: text.replace("\n", "\r\n")), False),
        Case("no line end at the end", with_proof(str.rstrip), False),
        Case("half a letter", with_proof(lambda text: text + "\ud800"), False),
        Case("unsigned", with_proof(lambda text: "\n".join(text.split("\n")[:-4]) + "\n"), False),
        Case(
            "the checkpoint of another history",
            told_of(replace(forged, proof=replace(forged.proof, checkpoint=tampered.checkpoint(1000)))),
            False,
        ),
        Case("another log's name, signed with this one's key", told_of(abroad), False),
        Case("a list", [], False),  # pyright: ignore[reportArgumentType]
    ]


CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_hansa_and_the_one_file_agree_on_a_receipt(case: Case, tmp_path: Path) -> None:
    quorum = len(case.witnesses) if case.quorum is None else case.quorum
    text = json.dumps(case.told)

    def by_hansa() -> bool:
        try:
            keys = (VerifierKey.parse(case.log_key),) if case.log_key else ()
            receipt = Receipt.parse(text)
            entry = tlog.entry_of(receipt.salt, receipt.row)
            receipt.proof.verify(entry, Policy(keys, tuple(map(VerifierKey.parse, case.witnesses)), quorum))
        except HansaError:
            return False
        return True

    file = tmp_path / "receipt.json"
    file.write_text(text, encoding="utf-8")
    log_key = ["--log-key", case.log_key] if case.log_key else []
    witnesses = [word for key in case.witnesses for word in ("--witness", key)]
    ran = verify(
        "receipt", file, *log_key, *witnesses, *(["--quorum", str(quorum)] if case.witnesses else [])
    )

    assert by_hansa() == case.proves
    assert (ran.returncode, ran.stderr) == (0 if case.proves else 1, "")
    assert ("NOT PROVEN" in ran.stdout) == (not case.proves)


@pytest.mark.skipif(NODE is None, reason="no node here: `make setup` brings one")
def test_javascript_agrees_on_every_receipt(tmp_path: Path) -> None:
    module = tmp_path / "receipt.mjs"
    module.write_text(MODULE.read_text(encoding="utf-8"), encoding="utf-8")
    script = tmp_path / "run.mjs"
    script.write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { verifyReceipt } from "./receipt.mjs";\n'
        "const results = [];\n"
        'for (const [told, policy] of JSON.parse(readFileSync(0, "utf-8"))) {\n'
        "  results.push(await verifyReceipt(told, policy));\n"
        "}\n"
        "console.log(JSON.stringify(results));\n",
        encoding="utf-8",
    )
    asked = [
        [
            case.told,
            {"logKey": case.log_key, "witnesses": case.witnesses}
            | ({} if case.quorum is None else {"quorum": case.quorum}),
        ]
        for case in CASES
    ]

    ran = subprocess.run(
        [str(NODE), script], input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 0, ran.stderr
    results: list[dict[str, Any]] = json.loads(ran.stdout)
    assert {case.name: result["ok"] for case, result in zip(CASES, results, strict=True)} == {
        case.name: case.proves for case in CASES
    }
    assert all(step["name"] and step["detail"] for result in results for step in result["steps"])
    assert results[0]["steps"][-1]["ok"] is None
    assert NOON.strftime("%Y-%m-%dT%H:%M:%S") in results[4]["steps"][-1]["detail"]


@pytest.mark.skipif(NODE is None, reason="no node here: `make setup` brings one")
def test_a_browser_without_ed25519_says_so(tmp_path: Path) -> None:
    module = tmp_path / "receipt.mjs"
    module.write_text(MODULE.read_text(encoding="utf-8"), encoding="utf-8")
    script = tmp_path / "run.mjs"
    script.write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { verifyReceipt } from "./receipt.mjs";\n'
        "crypto.subtle.importKey = async () => { throw new DOMException('no', 'NotSupportedError'); };\n"
        'const [told, policy] = JSON.parse(readFileSync(0, "utf-8"));\n'
        "console.log(JSON.stringify(await verifyReceipt(told, policy)));\n",
        encoding="utf-8",
    )

    ran = subprocess.run(
        [str(NODE), script],
        input=json.dumps([changed(), {"logKey": str(CITY.verifier_key)}]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    result = json.loads(ran.stdout)
    assert result["ok"] is False
    assert [step["ok"] for step in result["steps"]] == [True, True, None, None]
    assert "cannot check Ed25519" in result["steps"][2]["detail"]


PAGE = """
import { readFileSync } from "node:fs";
import { mount } from "./receipt.mjs";

const [receipt, logKey] = JSON.parse(readFileSync(0, "utf-8"));
class Element {
  dataset = {};
  children = [];
  textContent = "";
  append(...more) { this.children.push(...more); }
  replaceChildren(...more) { this.children = more; }
  setAttribute() {}
  querySelector() { return this.script ?? null; }
}
globalThis.document = { createElement: () => new Element() };
globalThis.fetch = async (url) => ({ ok: url === "/receipt", status: 404, json: async () => receipt });

async function shown(change) {
  const element = new Element();
  element.dataset.logKey = logKey;
  change(element);
  await mount(element);
  const [list, words] = element.children;
  const words_of = (item) => item.children.map((part) => part.textContent).join("");
  const lines = list.children.map((item) => [item.dataset.state, words_of(item)]);
  return { state: element.dataset.state, words: words.textContent, lines };
}

console.log(JSON.stringify([
  await shown((element) => { element.script = { textContent: JSON.stringify(receipt) }; }),
  await shown((element) => { element.dataset.receiptUrl = "/receipt"; element.dataset.witnesses = " "; }),
  await shown((element) => { element.dataset.receiptUrl = "/gone"; }),
  await shown((element) => { element.script = { textContent: "{" }; }),
  await shown((element) => { element.script = { textContent: JSON.stringify({ ...receipt, index: 301 }) }; }),
]));
"""


@pytest.mark.skipif(NODE is None, reason="no node here: `make setup` brings one")
def test_a_page_lists_the_steps(tmp_path: Path) -> None:
    (tmp_path / "receipt.mjs").write_text(MODULE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "page.mjs").write_text(PAGE, encoding="utf-8")

    ran = subprocess.run(
        [str(NODE), tmp_path / "page.mjs"],
        input=json.dumps([changed(), str(CITY.verifier_key)]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    written, fetched, gone, broken, false = json.loads(ran.stdout)
    assert written == fetched
    assert written["state"] == "proven"
    assert [state for state, _ in written["lines"]] == ["passed", "passed", "passed", "open"]
    assert [page["state"] for page in (gone, broken, false)] == ["unproven"] * 3
    assert "404" in gone["words"]
    assert false["lines"][0][1].startswith("✗ The receipt agrees with itself")


def test_the_one_file_says_in_words_what_is_proven_and_what_is_not(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    row = replace(row_of(300), memo="\x1b[31mtwo\nlines\u202e")
    city = Books(301)
    city.rows[300] = tlog.encode_row(row)
    city.entries[300] = tlog.entry_of(city.salts[300], city.rows[300])
    city.levels[0][300] = tlog.leaf_hash(city.entries[300])
    file.write_text(str(city.receipt(300, 301)), encoding="utf-8")

    ran = verify("receipt", file, "--log-key", str(city.verifier_key))

    assert ran.returncode == 0
    assert "PROVEN." in ran.stdout
    assert "Not shown by this" in ran.stdout
    assert "no witness was asked for" in ran.stdout
    assert "amount          580" in ran.stdout
    assert "\x1b" not in ran.stdout
    assert "\u202e" not in ran.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("receipt", "/nowhere.json"),
        ("receipt", str(VERIFIER), "--log-key", "nonsense"),
        ("receipt", str(VERIFIER), "--log-key", str(WITNESS)),
        ("receipt", str(VERIFIER), "--witness", str(LOG)),
        ("receipt", str(VERIFIER), "--witness", str(WITNESS), "--quorum", "2"),
        ("receipt", str(VERIFIER), "--witness", str(WITNESS), "--witness", str(WITNESS)),
        ("history", "--tiles", "/nowhere", "--old", str(VERIFIER)),
        ("guess",),
    ],
)
def test_a_question_that_makes_no_sense_ends_with_2(words: tuple[str, ...]) -> None:
    ran = verify(*words)

    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


# The history


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (0, 1000),
        (1, 1000),
        (256, 1000),
        (255, 256),
        (700, 1000),
        (1000, 1000),
        (65_536, 70_000),
        (69_999, 70_000),
    ],
)
def test_a_history_is_proven_from_tiles(old: int, new: int, tmp_path: Path) -> None:
    city = books(70_000)
    city.write(tmp_path, new)
    kept = tmp_path / "kept"
    kept.write_text(str(city.checkpoint(old)), encoding="utf-8")

    ran = verify("history", "--tiles", tmp_path, "--old", kept, "--log-key", str(city.verifier_key))

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert "PROVEN." in ran.stdout


def told_of_history(tmp_path: Path, old: Note, *words: str) -> subprocess.CompletedProcess[str]:
    kept = tmp_path / "kept"
    kept.write_text(str(old), encoding="utf-8")
    return verify("history", "--tiles", tmp_path, "--old", kept, "--log-key", str(CITY.verifier_key), *words)


@pytest.mark.parametrize("old", [1, 256, 300, 999, 1000])
def test_a_rewritten_history_is_called_that(old: int, tmp_path: Path) -> None:
    Books(1000, salted="rewritten").write(tmp_path, 1000)

    ran = told_of_history(tmp_path, CITY.checkpoint(old))

    assert ran.returncode == 1
    assert "REWRITTEN" in ran.stdout


def test_a_log_that_shrank_is_told(tmp_path: Path) -> None:
    CITY.write(tmp_path, 900)

    ran = told_of_history(tmp_path, CITY.checkpoint(1000))

    assert ran.returncode == 1
    assert "shrank" in ran.stdout


def test_spoilt_tiles_are_not_taken_for_a_rewritten_history(tmp_path: Path) -> None:
    CITY.write(tmp_path, 1000)
    tile = tmp_path / "tile/1/000.p/3"
    tile.write_bytes(bytes(96))

    ran = told_of_history(tmp_path, CITY.checkpoint(300))

    assert ran.returncode == 1
    assert "REWRITTEN" not in ran.stdout
    assert "not those of the newer checkpoint" in ran.stdout


def test_missing_tiles_are_told(tmp_path: Path) -> None:
    CITY.write(tmp_path, 1000)
    shutil.rmtree(tmp_path / "tile/0")

    ran = told_of_history(tmp_path, CITY.checkpoint(300))

    assert ran.returncode == 1
    assert "missing" in ran.stdout


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one(tmp_path: Path) -> None:
    CITY.write(tmp_path, 1000)
    CITY.write(tmp_path, 300)
    shutil.rmtree(tmp_path / "tile/0/001.p")

    ran = told_of_history(tmp_path, CITY.checkpoint(280))

    assert ran.returncode == 0, ran.stdout


def test_an_old_checkpoint_that_the_city_never_signed_accuses_nobody(tmp_path: Path) -> None:
    CITY.write(tmp_path, 1000)
    forged = Books(300, key="thief", salted="forged")

    ran = told_of_history(tmp_path, forged.checkpoint(300))

    assert ran.returncode == 1
    assert "REWRITTEN" not in ran.stdout


def test_a_history_asks_for_witnesses_of_the_newer_checkpoint(tmp_path: Path) -> None:
    CITY.write(tmp_path, 1000)
    (tmp_path / "checkpoint").write_text(str(cosigned(CITY.checkpoint(1000), [PARIS])), encoding="utf-8")

    with_paris = told_of_history(tmp_path, CITY.checkpoint(300), "--witness", str(witness_key(PARIS)))
    with_rome = told_of_history(tmp_path, CITY.checkpoint(300), "--witness", str(witness_key(ROME)))

    assert (with_paris.returncode, with_rome.returncode) == (0, 1)


@pytest.fixture
def website(tmp_path: Path) -> Generator[str]:
    """A web server of the folder ``site``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    (tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_history_is_proven_over_http(website: str, tmp_path: Path) -> None:
    CITY.write(tmp_path / "site", 1000)
    kept = tmp_path / "kept"
    kept.write_text(str(CITY.checkpoint(700)), encoding="utf-8")

    ran = verify("history", "--tiles", website, "--old", kept, "--log-key", str(CITY.verifier_key))
    nobody = verify(
        "history", "--tiles", "http://127.0.0.1:1", "--old", kept, "--log-key", str(CITY.verifier_key)
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (nobody.returncode, "Traceback" in nobody.stderr) == (2, False)


# Ed25519 of our own


ED25519 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("public", "message", "signature"), ED25519)
def test_the_published_signatures_verify(public: str, message: str, signature: str) -> None:
    key, said, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    twin = signed[:32] + (int.from_bytes(signed[32:], "little") + ORDER).to_bytes(32, "little")

    assert hansa_verify.ed25519_verify(key, said, signed)
    assert not hansa_verify.ed25519_verify(key, said + b"\x00", signed)
    assert not hansa_verify.ed25519_verify(key, said, twin)
    assert not hansa_verify.ed25519_verify(key, said, signed[:-1])
    assert not hansa_verify.ed25519_verify(key[:-1], said, signed)
    assert not hansa_verify.ed25519_verify(b"\xff" * 32, said, signed)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511), st.booleans())
@settings(deadline=None, max_examples=60)
def test_our_ed25519_says_what_the_library_says(seed: bytes, message: bytes, bit: int, spoil: bool) -> None:
    key = key_of(seed.hex())
    public = key.public_key().public_bytes_raw()
    signature = key.sign(message)
    if spoil:
        signature = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        by_library = True
    except InvalidSignature:
        by_library = False

    assert hansa_verify.ed25519_verify(public, message, signature) == by_library == (not spoil)


def test_the_one_file_stands_alone() -> None:
    text = VERIFIER.read_text(encoding="utf-8")
    imports = {
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }

    assert imports <= sys.stdlib_module_names


def test_a_receipt_that_is_not_json_is_refused() -> None:
    for text in ("", "{", "[" * 100_000, "null", "9" * 5000, " " * 2**21):
        with pytest.raises(BadReceipt):
            Receipt.parse(text)
