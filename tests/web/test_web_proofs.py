"""Is this in the books? The log for everybody, receipts for whose transfer it is, and pages that show both."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import identity, ledger, payments, trust
from hansa.apps.witnessing import ask_witnesses, doors_of, log_signer, read_witnesses
from hansa.kernel import Money, fact_id
from hansa.store import Context
from hansa.trust import KeyFolder, tlog
from hansa.trust.tlog import KeyKind, VerifierKey
from ledger_log.log_books import VERIFIER, verifier
from web.little_league import BUS, LittleLeague, Phone
from web.test_web_wallet import sign_in

Client = TestClient[Any]


def top_up_of(ctx: Context, account: identity.Account) -> UUID:
    """The transfer that brought the rider's first money."""
    with ctx.tx() as tx:
        line = payments.movements(tx, account.account_id)[-1]
    return payments.top_up_transfer(line.movement_id, line.at)


def key_of(ctx: Context, member: str, *scopes: str) -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, list(scopes), at=ctx.clock.now())
    return {"authorization": f"Bearer {secret}"}


def embedded(page: str) -> dict[str, Any]:
    """The receipt that a page brings along."""
    (found,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


@pytest.fixture
def witnessed(ctx: Context, league: LittleLeague, home: Path) -> str:
    """A witness that has signed the books as they are; its key."""
    key = str(VerifierKey.of(KeyFolder(home / "w" / "keys").witness(), "city.example/w", KeyKind.COSIGNATURE))
    (home / "witnesses").write_text(f"folder:w {key}\n")
    signer = log_signer(home)
    with doors_of(home, read_witnesses(home), signer, partitions=[0], clock=ctx.clock) as doors:
        ask_witnesses(ctx, signer, doors)
    return key


# -- the log, for everybody


def test_anyone_reads_the_checkpoint_and_the_tiles_under_it(
    ctx: Context, stranger: Client, league: LittleLeague, witnessed: str
) -> None:
    key = VerifierKey.parse(stranger.get("/v1/ledger/log/key").text.strip())
    note = tlog.Note.parse(stranger.get("/v1/ledger/log/0/checkpoint").text)
    checkpoint, seen = tlog.verify_checkpoint(note, tlog.Policy((key,), (VerifierKey.parse(witnessed),), 1))

    answer = stranger.get(f"/v1/ledger/log/0/{tlog.tile_path(0, 0, checkpoint.size)}")
    entries = stranger.get(f"/v1/ledger/log/0/{tlog.entries_path(0, checkpoint.size)}")

    tree = tlog.Tree()
    tree.append(tlog.decode_bundle(entries.content, checkpoint.size))
    assert tree.root() == checkpoint.root and len(seen) == 1
    assert answer.content == b"".join(
        map(tlog.leaf_hash, tlog.decode_bundle(entries.content, checkpoint.size))
    )
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_full_tile_may_be_kept_for_good_and_a_checkpoint_for_seconds(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    rider = league.riders["Gao Lan"]
    payments.top_up(
        ctx,
        [
            payments.TopUp(
                fact_id(None, "many", number),
                rider.account_id,
                trust.MemberId(rider.issuer_id),
                Money(1_00, "CNY"),
                ctx.clock.now(),
            )
            for number in range(300)
        ],
    )

    full, partial = (
        stranger.get(f"/v1/ledger/log/0/tile/0/000{width}").headers["cache-control"] for width in ("", ".p/9")
    )
    checkpoint = stranger.get("/v1/ledger/log/0/checkpoint")

    assert "immutable" in full and "immutable" not in partial
    assert checkpoint.headers["cache-control"] == "public, max-age=2"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("0/tile/0/000", 404),  # not full yet
        ("0/tile/0/001.p/3", 404),
        ("0/tile/9/000.p/1", 404),
        ("0/tile/0/0.p/1", 404),
        ("0/tile/0/000.p/256", 404),
        ("0/tile/entries/x001/000.p/1", 404),
        ("0/tile/..%2f..%2fkey", 404),
        ("7/checkpoint", 404),
        ("99999/checkpoint", 422),
        ("0/tile/0/x999/x999/x999/x999/x999/x999/999", 404),
    ],
)
def test_what_is_not_there_is_told(stranger: Client, league: LittleLeague, path: str, status: int) -> None:
    answer = stranger.get(f"/v1/ledger/log/{path}")

    assert answer.status_code == status, answer.text
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_the_verifier_is_given_to_anyone_as_a_file(stranger: Client, league: LittleLeague) -> None:
    answer = stranger.get("/verify/hansa_verify.py")

    assert answer.content == VERIFIER.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="hansa_verify.py"'


# -- receipts, for whose transfer it is


def test_a_riders_receipt_is_proven_by_the_file_she_was_given(
    ctx: Context, client: Client, league: LittleLeague, witnessed: str, tmp_path: Path
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])

    answer = client.get(f"/v1/ledger/transfers/{transfer_id}/receipt")
    (tmp_path / "receipt.json").write_bytes(answer.content)
    (tmp_path / "hansa_verify.py").write_bytes(client.get("/verify/hansa_verify.py").content)
    key = client.get("/v1/ledger/log/key").text.strip()

    told = verifier(
        "receipt", tmp_path / "receipt.json", "--log-key", key, "--witness", witnessed, "--quorum", "1"
    )
    assert told.returncode == 0, told.stdout
    assert f"hansa-receipt-{transfer_id}.json" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("member", "scopes", "status"),
    [
        ("hangzhou-card", ["ledger:read"], 200),  # holds the cash account it came from
        ("league", ["ledger:read"], 200),
        ("toronto-card", ["ledger:read"], 404),
        ("hangzhou-card", ["taps:write"], 403),
    ],
)
def test_a_member_gets_receipts_of_accounts_it_holds(
    ctx: Context, stranger: Client, league: LittleLeague, member: str, scopes: list[str], status: int
) -> None:
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])

    answer = stranger.get(f"/v1/ledger/transfers/{transfer_id}/receipt", headers=key_of(ctx, member, *scopes))

    assert answer.status_code == status, answer.text
    assert ("salt" in answer.text) == (status == 200)


def test_another_rider_and_a_stranger_learn_nothing_of_a_transfer(
    ctx: Context, client: Client, stranger: Client, league: LittleLeague, home: Path
) -> None:
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])
    with ctx.tx() as tx:
        receipt = ledger.receipt(tx, ledger.TransferId(transfer_id), log_signer(home))
    sign_in(client, league.riders["Qian Qing"])

    refused = [
        client.get(f"/v1/ledger/transfers/{transfer_id}/receipt"),
        client.get(f"/wallet/receipts/{transfer_id}"),
        client.get(f"/v1/ledger/transfers/{UUID(int=5)}/receipt"),
        stranger.get(f"/v1/ledger/transfers/{transfer_id}/receipt"),
        stranger.get(f"/wallet/receipts/{transfer_id}"),
        stranger.get(f"/console/ledger/transfers/{transfer_id}"),
        stranger.get(f"/console/ledger/transfers/{transfer_id}/receipt.json"),
    ]

    assert [answer.status_code for answer in refused] == [404, 404, 404, 401, 401, 401, 401]
    assert {answer.json()["code"] for answer in refused[:3]} == {"ledger.unknown_transfer"}
    assert not any(receipt.salt.hex() in answer.text or "salt" in answer.text for answer in refused)


def test_a_gates_key_gets_no_receipt(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["ledger:read"], at=ctx.clock.now(), gate_id=BUS)
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])

    answer = stranger.get(
        f"/v1/ledger/transfers/{transfer_id}/receipt", headers={"authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 404


# -- pages


def test_a_journey_leads_the_rider_to_its_proof(
    ctx: Context, client: Client, league: LittleLeague, witnessed: str
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    client.post(f"/gate/{BUS}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})
    (journey,) = set(re.findall(r'href="(/wallet/journeys/[^"]+)"', client.get("/wallet/journeys").text))

    links = re.findall(r'href="(/wallet/receipts/[^"]+)"', client.get(journey).text)
    page = client.get(links[0]).text

    assert len(links) == 1  # of the two transfers of a ride abroad one is hers
    assert "Your wallet" in page and "Exchange of Hangzhou Card" in page
    assert page.count("✓") == 3 and "✗" not in page
    assert "none has signed since" in page  # the witness saw the books before this ride
    receipt = tlog.Receipt.parse(json.dumps(embedded(page)))
    assert tlog.decode_row(receipt.row).currency == "CNY"


def test_a_statement_line_leads_to_a_proof_that_a_witness_has_signed(
    ctx: Context, client: Client, league: LittleLeague, witnessed: str
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    (paper,) = set(re.findall(r'href="(/wallet/papers/[^"]+)"', client.get("/wallet/statement").text))
    (link,) = set(re.findall(r'href="(/wallet/receipts/[^"]+)"', client.get(paper).text))

    page = client.get(link).text

    assert page.count("✓") == 4 and "city.example/w" in page
    assert f'data-witnesses="{witnessed}"' in page.replace("&#43;", "+")


def test_a_changed_row_shows_a_cross_on_the_page(ctx: Context, client: Client, league: LittleLeague) -> None:
    sign_in(client, league.riders["Gao Lan"])
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])
    with ctx.tx() as tx:
        tx.execute("update ledger.transfers set amount = amount + 1 where transfer_id = %s", (transfer_id,))

    page = client.get(f"/wallet/receipts/{transfer_id}").text

    assert "✗ The transfer is in the log" in page and "Not proven" in page


def test_the_console_opens_a_block_down_to_a_transfers_proof(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    books = client.get("/console/ledger").text
    block = re.findall(r'href="(/console/ledger/blocks/[^"]+)"', books)[-1]
    transfer = re.findall(r'href="(/console/ledger/transfers/[^"]+)"', client.get(block).text)[0]

    page = client.get(transfer).text
    download = client.get(f"{transfer}/receipt.json")

    assert page.count("✓") == 3 and "The row as it is hashed" in page
    assert download.json() == embedded(page)
    told = embedded(page)["transfer"]
    assert f"<dd>{told['event_at']}</dd>" in page and f"<dd>{told['booked_at']}</dd>" in page
    account = re.findall(r'href="(/console/ledger/accounts/[^"#]+)', page)[0]
    assert transfer in client.get(account).text


# -- a block, page by page


@pytest.fixture
def large_block(ctx: Context, league: LittleLeague) -> str:
    """The address of a block with 320 transfers, so with seven pages."""
    rider = league.riders["Gao Lan"]
    now, issuer = ctx.clock.now(), trust.MemberId(rider.issuer_id)
    payments.top_up(
        ctx,
        [
            payments.TopUp(fact_id(None, "many", n), rider.account_id, issuer, Money(1_00 + n, "CNY"), now)
            for n in range(320)
        ],
    )
    with ctx.tx() as tx:
        last = ledger.block_head(tx)[0]
        assert len(ledger.block_transfers(tx, 0, last, limit=1_000)) == 320
    return f"/console/ledger/blocks/0/{last}"


def on_page(page: str) -> list[str]:
    """The transfers that a block's page lists, in order."""
    return re.findall(r'<th scope="row"><a href="/console/ledger/transfers/([^"]+)"', page)


def ways(page: str) -> dict[str, str]:
    """Where the links between a block's pages lead, by their words."""
    return {
        words: href
        for href, words in re.findall(
            r'<a class="button second"[^>]*href="([^"]+)">(First|Previous|Next|Last)<', page
        )
    }


def test_a_large_block_is_leafed_through_to_its_end_and_back(
    ctx: Context, client: Client, large_block: str
) -> None:
    with ctx.tx() as tx:
        block = int(large_block.rsplit("/", 1)[1])
        booked = [str(one.transfer.transfer_id) for one in ledger.block_transfers(tx, 0, block, limit=1_000)]
    pages = [client.get(large_block).text]
    while "Next" in ways(pages[-1]):
        pages.append(client.get(ways(pages[-1])["Next"]).text)
    back = [pages[-1]]
    while "Previous" in ways(back[-1]):
        back.append(client.get(ways(back[-1])["Previous"]).text)

    assert [one for page in pages for one in on_page(page)] == booked
    assert [len(on_page(page)) for page in pages] == [50] * 6 + [20]
    assert back == pages[::-1]
    assert "Lines 0 to 49 of the block’s 320 transfers" in pages[0]
    assert "Lines 300 to 319 of the block’s 320 transfers" in pages[-1]
    assert client.get(ways(pages[0])["Last"]).text == pages[-1]
    assert client.get(ways(pages[-1])["First"]).text == pages[0]
    assert [list(ways(page)) for page in pages[:3]] == [
        ["Next", "Last"],
        ["Previous", "Next", "Last"],
        ["First", "Previous", "Next", "Last"],
    ]
    assert [list(ways(page)) for page in pages[-2:]] == [["First", "Previous", "Next"], ["First", "Previous"]]


def test_a_transfer_leads_back_to_the_page_of_its_block_that_it_stands_on(
    client: Client, large_block: str
) -> None:
    transfer = on_page(client.get(f"{large_block}?after=249").text)[7]

    (way,) = re.findall(
        r'href="(/console/ledger/blocks/[^"]+)"', client.get(f"/console/ledger/transfers/{transfer}").text
    )

    assert way == f"{large_block}?after=249#t-{transfer}"
    assert f'<tr id="t-{transfer}">' in client.get(way).text


def test_any_line_leads_to_the_page_on_which_the_next_one_stands(client: Client, large_block: str) -> None:
    page = client.get(f"{large_block}?after=49").text

    assert client.get(f"{large_block}?after=60").text == page
    assert client.get(f"{large_block}?after=98").text == page
    assert client.get(f"{large_block}?after=99").text != page
    assert client.get(f"{large_block}?after=48").text == client.get(f"{large_block}?after=").text


def test_a_block_of_one_page_has_no_others(client: Client, league: LittleLeague) -> None:
    page = client.get("/console/ledger/blocks/0/1").text

    assert len(on_page(page)) == 4 and ways(page) == {}
    assert "Lines" not in page


@pytest.mark.parametrize("after", ["abc", "-1", "-50", "319", "320", "9" * 90, "1.5", " 5", "²", "٣", "0x10"])
def test_a_place_that_a_block_does_not_have_is_told(client: Client, large_block: str, after: str) -> None:
    answer = client.get(large_block, params={"after": after}, headers={"accept": "text/html"})

    assert answer.status_code == 422
    assert "There is no such page." in answer.text and "go back to the first page" in answer.text
    assert on_page(answer.text) == []


@pytest.mark.parametrize(
    "path",
    [
        f"/console/ledger/transfers/{UUID(int=7)}",
        "/console/ledger/blocks/0/99",
        "/console/ledger/blocks/40000/1",
        f"/console/ledger/blocks/0/{2**70}",
        "/console/ledger/blocks/0/0",
    ],
)
def test_the_console_has_no_page_for_what_is_not_there(
    client: Client, league: LittleLeague, path: str
) -> None:
    assert client.get(path).status_code == 404


def test_the_log_page_tells_size_checkpoint_and_witnesses(
    client: Client, league: LittleLeague, witnessed: str, home: Path
) -> None:
    page = client.get("/console/log").text

    assert "hansa.example/ledger/0" in page and "city.example/w" in page
    assert "1 <small>of 1 witness</small>" in page
    (home / "witnesses").unlink()
    assert "city.example/w" in client.get("/console/log").text  # it has signed, though nobody asks it now


def test_a_kept_checkpoint_is_compared_with_the_books(
    ctx: Context, client: Client, league: LittleLeague, home: Path
) -> None:
    kept = client.get("/v1/ledger/log/0/checkpoint").text
    client.post(f"/gate/{BUS}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})

    as_a_browser_sends_it = kept.rstrip("\n").replace("\n", "\r\n")
    page = client.post("/console/log", data={"checkpoint": as_a_browser_sends_it}).text

    assert page.count("✓") == 3 and "have only grown" in page
    size = tlog.Checkpoint.parse(tlog.Note.parse(kept).text).size
    signer = log_signer(home)
    for text, step in (
        ("nonsense", "✗ It is a checkpoint"),
        (str(signer.note(0, size, bytes(32))), "✗ Nothing was rewritten"),
        (str(signer.note(0, 2**40, bytes(32))), "✗ Nothing was rewritten"),
        (kept.replace("hansa.example", "oslo.example"), "✗ We have signed it"),
        (kept.replace(f"\n{size}\n", f"\n{size - 1}\n"), "✗ We have signed it"),
    ):
        page = client.post("/console/log", data={"checkpoint": text}).text
        assert step in page and "Something is wrong" in page, text


def test_anyone_may_see_how_to_check_and_nobody_elses_site_may_ask_the_console(
    client: Client, stranger: Client, league: LittleLeague, witnessed: str
) -> None:
    page = stranger.get("/verify/").text
    assert "hansa.example/ledger/0+" in page and "city.example/w+" in page

    assert stranger.get("/console/log").status_code == 401
    assert stranger.post("/console/log", data={"checkpoint": "x"}).status_code == 401
    foreign = client.post("/console/log", data={"checkpoint": "x"}, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


def test_pages_stand_on_empty_books(client: Client, ctx: Context) -> None:
    assert "The books are empty" in client.get("/console/log").text
    assert client.get("/verify/").status_code == 200
    assert client.get("/v1/ledger/log/key").text == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "fr",
            (
                "Vérifié pas à pas",
                "Entrée ",
                " empreintes mènent à la racine.",
                "Signatures\u00a0: 1, il en faut 1",
            ),
        ),
        ("zh", ("逐步核对", "凭证内容前后一致", "个哈希值通向根", "已有 1 方签名")),
    ],
)
def test_a_receipt_is_told_in_the_riders_language_by_server_and_script(
    ctx: Context, client: Client, league: LittleLeague, witnessed: str, language: str, said: tuple[str, ...]
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    transfer_id = top_up_of(ctx, league.riders["Gao Lan"])

    page = client.get(f"/wallet/receipts/{transfer_id}?language={language}").text
    words = json.loads(page.partition('id="words">')[2].partition("</script>")[0])

    assert all(one in page for one in said)
    assert "Checked step by step" not in page.replace(json.dumps(words), "")
    assert words["Not proven. The steps above say why."] != "Not proven. The steps above say why."


def test_a_shop_has_its_name_in_the_books_with_its_id_beside_it(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    payee = payments.Payee(
        payee_id="0191d9f0-0000-7000-8000-0000000000aa",
        member_id="hangzhou-card",
        name="Tea House",
        currency="CNY",
    )
    payments.open_payees(ctx, [payee])

    page = client.get(f"/console/ledger/accounts/{payments.merchant_account(payee.payee_id, 'CNY')}").text

    assert "<h1>Merchant Tea House (…000000aa)</h1>" in page and payee.payee_id in page
