"""Statements and receipts of a wallet: exact, of every kind, and proved without us."""

import base64
import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

from hansa import identity, ledger, payments
from hansa.apps.command import app
from hansa.apps.own_statement import OwnStatement, read_holds, read_lines, read_statement
from hansa.apps.witnessing import log_signer
from hansa.kernel import fact_id
from hansa.ledger import TransferCode, TransferFlag
from hansa.store import Context
from hansa.trust import KeyFolder
from hansa.trust.tlog.standalone import hansa_verify
from web.little_league import LittleLeague
from web.test_web_wallet import sign_in

Client = TestClient[Any]


def booked(ctx: Context, account: identity.Account, code: TransferCode, minor: int, **more: Any) -> UUID:
    """Something of this kind on the wallet: out of it above zero, into it below."""
    wallet = payments.wallet_id(account.account_id, "CNY")
    cash = payments.cash_account(account.issuer_id, "CNY")
    now = ctx.clock.now()
    one = ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(now, "test paper", code, minor, str(more))),
        debit=wallet if minor > 0 else cash,
        credit=cash if minor > 0 else wallet,
        amount=abs(minor),
        currency="CNY",
        code=code,
        event_at=now,
        **more,
    )
    assert ledger.post(ctx, [one])[0].ok
    return one.transfer_id


@pytest.fixture
def moved(ctx: Context, league: LittleLeague) -> identity.Account:
    """A rider whose wallet has seen every kind of movement this month, and a top-up in the month before."""
    names = [one.name for one in league.riders.values() if one.home_city_id == "hangzhou"]
    account = league.riders[names[0]]
    ctx.clock.at += timedelta(days=20)  # type: ignore[attr-defined]
    for code, minor in (
        (TransferCode.FARE, 3_00),
        (TransferCode.PURCHASE, 12_34),
        (TransferCode.PURCHASE_REFUND, -2_00),
        (TransferCode.WITHDRAWAL, 5_00),
        (TransferCode.WITHDRAWAL, -5_00),
        (TransferCode.SEND, 1_50),
        (TransferCode.OPENING, -1),
    ):
        booked(ctx, account, code, minor, reference=fact_id(None, code, minor))
    booked(ctx, account, TransferCode.WITHDRAWAL, 7_00, flags=TransferFlag.PENDING)
    freed = booked(ctx, account, TransferCode.PURCHASE, 9_00, flags=TransferFlag.PENDING)
    with ctx.tx() as tx:
        assert ledger.find_transfer(tx, ledger.TransferId(freed)) is not None
    end = ledger.Transfer(
        ledger.TransferId(fact_id(None, "end")),
        ledger.AS_PENDING,
        ledger.AS_PENDING,
        0,
        "",
        0,
        ctx.clock.now(),
        flags=TransferFlag.VOID_PENDING,
        pending_id=ledger.TransferId(freed),
    )
    assert ledger.post(ctx, [end])[0].ok
    return account


def statement_of(ctx: Context, account: identity.Account) -> OwnStatement:
    month = ctx.clock.now().date().replace(day=1)
    with ctx.tx() as tx:
        return read_statement(ctx, tx, account, month, "Asia/Shanghai")


def test_a_month_adds_up_and_has_every_kind(ctx: Context, moved: identity.Account) -> None:
    statement = statement_of(ctx, moved)

    (section,) = statement.sections
    with ctx.tx() as tx:
        lines = [line for some in read_lines(tx, statement, section) for line in some]
        holds = list(read_holds(tx, statement, section))
        wallet = ledger.balance(tx, section.wallet)
        before = ledger.balance_at(tx, section.wallet, statement.begins_at - timedelta(microseconds=1))
    assert section.opening.minor == before.credit_minor == 100_00
    assert section.closing.minor == wallet.credit_minor
    assert section.opening.minor + sum(line.minor for line in lines) == section.closing.minor
    assert [line.balance_minor for line in lines][-1] == section.closing.minor
    assert {line.kind.value for line in lines} >= {"fare", "payment", "refund", "withdrawal", "other"}
    assert sum(one.minor for one in holds) == section.held_after.minor - section.held_before.minor
    assert section.held_after.minor == wallet.debits_pending == 7_00


def test_pages_name_every_line_and_lead_to_what_it_is(
    ctx: Context, client: Client, moved: identity.Account
) -> None:
    sign_in(client, moved)
    statement = statement_of(ctx, moved)

    latest = client.get("/wallet/statement").text
    months = client.get("/wallet/statements").text
    month = client.get(f"/wallet/statements/{statement.name}").text

    for words in (
        "Fare",
        "Payment",
        "Refund",
        "To your bank",
        "Sent back by your bank",
        "Sent",
        "Other movement",
    ):
        assert f"<strong>{words}</strong>" in latest and f"<strong>{words}</strong>" in month, words
    assert "¥7.00 of what your wallet holds is set aside" in latest
    assert f'href="/wallet/statements/{statement.name}"' in months
    assert "¥100.00" in month and "not over" in month
    (paper, *_) = re.findall(r'/wallet/papers/([0-9a-f-]{36})"', latest)
    told = client.get(f"/wallet/papers/{paper}")
    assert told.status_code == 200 and paper in told.text
    assert client.get(f"/wallet/papers/{paper}/pdf").content.startswith(b"%PDF")
    for language in ("zh", "fr"):
        answer = client.get(f"/wallet/statements/{statement.name}/pdf?language={language}")
        assert answer.headers["content-type"] == "application/pdf" and answer.content.startswith(b"%PDF")


def test_the_table_has_the_ledgers_figures(ctx: Context, client: Client, moved: identity.Account) -> None:
    sign_in(client, moved)
    statement = statement_of(ctx, moved)

    answer = client.get(f"/wallet/statements/{statement.name}/csv?language=en")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    (section,) = statement.sections
    assert (rows[0]["kind"], rows[0]["balance"]) == ("opening_balance", "100.00")
    assert (rows[-1]["kind"], rows[-1]["balance"]) == ("closing_balance", section.closing.decimal())
    minors = [round(float(row["amount"]) * 100) for row in rows[1:-1]]
    assert sum(minors) == section.closing.minor - section.opening.minor


def test_the_bundle_proves_itself_and_shows_what_was_changed(
    ctx: Context, client: Client, moved: identity.Account, home: Path, tmp_path: Path
) -> None:
    sign_in(client, moved)
    statement = statement_of(ctx, moved)
    key = hansa_verify.parse_key(str(log_signer(home).verifier_key(0)))
    policy = hansa_verify.Policy(key, (), 0)

    answer = client.get(f"/wallet/statements/{statement.name}/zip")

    file = tmp_path / "statement.zip"
    file.write_bytes(answer.content)
    steps = list(hansa_verify.check_statement(str(file), policy))
    assert all(step.ok is not False for step in steps), steps
    assert any("add up" in step.name and step.ok for step in steps)
    words = ["statement", str(file), "--log-key", str(log_signer(home).verifier_key(0))]
    assert hansa_verify.main(words) == 0
    with zipfile.ZipFile(file) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    told = json.loads(parts["statement.json"])

    def spoilt(name: str, content: bytes) -> bool:
        other = tmp_path / "spoilt.zip"
        with zipfile.ZipFile(other, "w") as out:
            for each, data in parts.items():
                out.writestr(each, content if each == name else data)
        return any(step.ok is False for step in hansa_verify.check_statement(str(other), policy))

    assert not spoilt("README.txt", b"")
    assert spoilt("statement.csv", parts["statement.csv"] + b" ")
    for change in ("opening_minor", "closing_minor"):
        wrong = json.loads(parts["statement.json"])
        wrong["wallets"][0][change] = str(int(wrong["wallets"][0][change]) + 1)
        assert spoilt("statement.json", json.dumps(wrong).encode()), change
    wrong = json.loads(parts["statement.json"])
    del wrong["wallets"][0]["lines"][1]
    assert spoilt("statement.json", json.dumps(wrong).encode())
    receipt = told["wallets"][0]["lines"][0]["receipt"]
    assert spoilt(receipt, parts[receipt].replace(b'"amount": "3', b'"amount": "4'))
    assert spoilt("statement.json", b"[]") and spoilt("statement.json", b"{}")
    assert spoilt("seal.txt", parts["seal.txt"].replace(b"2026-12", b"2026-11"))
    # A table that says something else than the receipts is found out, even by who could make its digests anew.
    rows = parts["statement.csv"].replace(b"3.00,CNY", b"30.0,CNY")
    wrong = json.loads(parts["statement.json"])
    wrong["sha256"]["statement.csv"] = hashlib.sha256(rows).hexdigest()
    table = csv.DictReader(io.StringIO(rows.decode()))
    with pytest.raises(hansa_verify.Unproven, match="table"), zipfile.ZipFile(file) as bundle:
        list(hansa_verify._check_lines(bundle, wrong["wallets"], table, policy))  # pyright: ignore[reportPrivateUsage]


def test_a_paper_and_a_table_alone_are_held_against_the_citys_seal(
    ctx: Context, client: Client, moved: identity.Account, home: Path, tmp_path: Path
) -> None:
    sign_in(client, moved)
    month = f"/wallet/statements/{statement_of(ctx, moved).name}"
    key = str(log_signer(home).verifier_key(0))
    got = {form: client.get(f"{month}/{form}?language=fr").content for form in ("pdf", "csv", "seal")}

    def checked(form: str, content: bytes, *, log_key: str = key, seal: bytes = got["seal"]) -> int:
        file = tmp_path / f"s.{form}"
        file.write_bytes(content)
        (tmp_path / "seal.txt").write_bytes(seal)
        words = ["statement", str(file), "--log-key", log_key]
        return hansa_verify.main(
            [*words, "--seal", str(tmp_path / "seal.txt")] if form == "csv" and seal else words
        )

    other = str(ledger.signer_for(KeyFolder(tmp_path / "other"), "hansa.example").verifier_key(0))
    assert [checked(form, got[form]) for form in ("pdf", "csv")] == [0, 0]
    assert [checked(form, got[form], log_key=other) for form in ("pdf", "csv")] == [1, 1]
    assert checked("csv", got["csv"].replace(b"3.00", b"4.00")) == 1
    assert checked("csv", got["csv"], seal=b"") == 1
    assert checked("csv", got["csv"], seal=got["seal"].replace(b"CNY 10000", b"CNY 99999")) == 1
    assert checked("pdf", got["pdf"].replace(b"/Author (Hansa)", b"/Author (Mansa)")) == 1
    assert checked("pdf", got["pdf"].partition(hansa_verify.SEAL_MARK)[0]) == 1

    short = got["pdf"].rpartition(hansa_verify.SEAL_MARK)[2].decode().strip()
    read = client.get("/verify/statement", params={"seal": short})
    forged = hansa_verify.unpack_seal(short).replace("CNY 10000", "CNY 99999")
    bad = base64.urlsafe_b64encode(zlib.compress(forged.encode())).decode()
    assert read.status_code == 200 and str(moved.account_id) in read.text and "¥100.00 at first" in read.text
    assert moved.name not in read.text
    assert [client.get("/verify/statement", params={"seal": one}).status_code for one in (bad, "x", "")] == [
        422, 422, 200,
    ]  # fmt: skip
    told = CliRunner().invoke(app, ["verify", str(tmp_path / "s.pdf"), "--log", key])
    assert told.exit_code == 1, "its last content had no seal"


def test_a_month_or_a_receipt_that_is_not_ones_own_is_not_there(
    ctx: Context, client: Client, moved: identity.Account, league: LittleLeague
) -> None:
    stranger = next(one for one in league.riders.values() if one.home_city_id == "toronto")
    statement = statement_of(ctx, moved)
    (section,) = statement.sections
    with ctx.tx() as tx:
        line = next(read_lines(tx, statement, section))[0]

    assert client.get("/wallet/statements", follow_redirects=False).status_code in (303, 307, 401)
    sign_in(client, stranger)

    assert client.get(f"/wallet/papers/{line.transfer_id}").status_code == 404
    assert client.get(f"/wallet/papers/{line.transfer_id}/pdf").status_code == 404
    for month in ("2031-01", "1999-01", "2026-13", "x", "2026-11-01"):
        assert client.get(f"/wallet/statements/{month}").status_code == 404, month
    assert client.get(f"/wallet/statements/{statement.name}/exe").status_code == 404
