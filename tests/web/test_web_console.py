"""The console: from a net position to the taps, and closed to others."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, audit, clearing, settlement, trust
from hansa.kernel import FixedClock
from hansa.store import Context
from web.little_league import BUS, WAY_IN, WAY_OUT, LittleLeague, Phone

Client = TestClient[Any]

PAGES = [
    "/console/",
    "/console/days",
    "/console/files",
    "/console/ledger",
    "/console/gates",
    "/console/riders",
]


@pytest.fixture
def ridden(ctx: Context, client: Client, league: LittleLeague) -> LittleLeague:
    """Gao Lan of Hangzhou took a bus in Toronto; Emily Tremblay of Toronto took the metro in Hangzhou."""
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    abroad, visitor = Phone(ctx, league, "Gao Lan"), Phone(ctx, league, "Emily Tremblay")
    client.post(f"/gate/{BUS}/read", json={"text": abroad.show()})
    client.post(f"/gate/{WAY_IN}/read", json={"text": visitor.show()})
    clock.at += timedelta(minutes=9)
    client.post(f"/gate/{WAY_OUT}/read", json={"text": visitor.show()})
    return league


@pytest.fixture
def closed(ctx: Context, ridden: LittleLeague, home: Path) -> str:
    """That day, cleared, with its bank files; its date."""
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    day = clock.now().date()
    clock.at += timedelta(days=2)
    clearing.close_day(ctx, day)
    settlement.write_files(ctx, day, home / "files")
    return day.isoformat()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_stands_on_an_empty_league(ctx: Context, client: Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 200, answer.text
    assert '<main id="main"' in answer.text and "Skip to content" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_the_console_is_closed_to_strangers(stranger: Client, path: str) -> None:
    answer = stranger.get(path)

    assert (answer.status_code, answer.json()["code"]) == (401, "trust.not_signed_in")


def test_a_members_key_does_not_open_the_console(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["taps:write"], at=ctx.clock.now())

    answer = stranger.get("/console/", headers={"authorization": f"Bearer {secret}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "trust.not_allowed")


def test_a_name_that_only_points_here_does_not_open_the_console(client: Client) -> None:
    answer = client.get("/console/", headers={"host": "rebound.example"})

    assert answer.status_code == 401


def test_the_overview_draws_cities_and_counts_the_day(client: Client, ridden: LittleLeague) -> None:
    page = client.get("/console/?day=2026-11-17").text

    assert "Hangzhou 杭州" in page and page.count("<path") > 4
    assert "<dt>Taps</dt><dd>3</dd>" in page
    assert "<dt>Journeys</dt><dd>2</dd>" in page
    assert "<caption>Taps and refusals by hour" in page


def test_every_figure_opens_down_to_the_tap(client: Client, closed: str) -> None:
    day_page = client.get(f"/console/days/{closed}").text
    assert set(re.findall(r'data-zero-sum="(\w+)">([^<]+)<', day_page)) == {
        ("CAD", "CA$0.00"),
        ("CNY", "¥0.00"),
    }

    net_link = f"/console/days/{closed}/members/toronto/CNY"
    assert net_link in day_page
    net_page = client.get(net_link).text
    assert "Toronto: pays" in net_page

    (position_link,) = set(re.findall(r'href="(/console/days/[^"]+/positions/toronto-card/[^"]+)"', net_page))
    position_page = client.get(position_link).text
    assert "Xianghu → Binkang Lu" in position_page

    (journey_link,) = set(re.findall(r'href="(/console/journeys/[^"]+)"', position_page))
    journey_page = client.get(journey_link).text
    assert len(set(re.findall(r'data-tap="([^"]+)"', journey_page))) == 2
    assert WAY_IN in journey_page and WAY_OUT in journey_page


def test_a_cent_is_followed_into_the_books_and_back(client: Client, closed: str) -> None:
    position = f"/console/days/{closed}/positions/hangzhou-card/toronto-ttc/CAD"
    (journey_link,) = set(re.findall(r'href="(/console/journeys/[^"]+)"', client.get(position).text))
    journey_page = client.get(journey_link).text
    assert len(set(re.findall(r'data-transfer="([^"]+)"', journey_page))) == 2  # exchanged, then paid

    accounts = set(re.findall(r'href="(/console/ledger/accounts/[^"#]+)#t-([^"]+)"', journey_page))
    assert len(accounts) == 4
    names: set[str] = set()
    for link, transfer_id in accounts:
        account_page = client.get(link).text
        assert f'id="t-{transfer_id}"' in account_page and journey_link in account_page
        names |= set(re.findall(r"<h1>([^<]+)</h1>", account_page))
    assert names == {
        "Wallet of Gao L.",
        "Exchange of Hangzhou Card",
        "Position of Hangzhou Card with Toronto Ttc",
    }


def test_a_riders_page_shows_the_wallets_lines_and_leads_to_the_books(
    client: Client, ridden: LittleLeague
) -> None:
    page = client.get(f"/console/riders/{ridden.riders['Gao Lan'].account_id}").text

    assert "Top-up" in page and 'id="journeys"' in page and 'id="wallet"' in page
    (wallet,) = set(re.findall(r'href="(/console/ledger/accounts/[^"]+)"', page))
    assert "Wallet of Gao L." in client.get(wallet).text


def test_the_day_shows_all_cities_in_one_table(client: Client, closed: str) -> None:
    page = client.get(f"/console/days/{closed}").text
    table = page.partition("before netting</h2>")[2].partition("</table>")[0]

    assert re.findall(r'number">in ([^<]+)<br><span class="quiet">(\w+)<', table) == [
        ("Hangzhou", "CNY"),
        ("Toronto", "CAD"),
    ]
    assert re.findall(r'scope="row">([^<]+)<', table) == ["Hangzhou", "Toronto", "All"]
    assert set(re.findall(r'href="/console/days/[^"]+/positions/([^"]+)"', table)) == {
        "hangzhou-card/toronto-ttc/CAD",
        "toronto-card/hangzhou-metro/CNY",
    }


def test_amounts_below_zero_have_a_minus_sign_and_no_hyphen(client: Client, closed: str) -> None:
    page = client.get(f"/console/days/{closed}").text

    assert re.search(r">−¥[0-9]", page) and re.search(r">−CA\$[0-9]", page)
    assert not re.search(r">-(¥|CA\$)", page)


def test_a_bus_tap_says_aboard_once(client: Client, closed: str) -> None:
    position = f"/console/days/{closed}/positions/hangzhou-card/toronto-ttc/CAD"
    (journey_link,) = set(re.findall(r'href="(/console/journeys/[^"]+)"', client.get(position).text))
    page = client.get(journey_link).text

    assert len(re.findall(r"boarded|On board", page)) == 1


def test_a_day_without_refusals_says_so_and_draws_no_axis(client: Client, ridden: LittleLeague) -> None:
    page = client.get("/console/live?day=2026-11-17").text

    assert "Refusals a minute</h2>" in page and "None." in page
    assert "Refusals a minute through the day" not in page


def test_the_ledger_lists_its_last_blocks_newest_first(client: Client, closed: str) -> None:
    page = client.get("/console/ledger").text
    numbers = [int(one) for one in re.findall(r'data-is="Block"><a [^>]+>([0-9]+)<', page)]

    assert 1 < len(numbers) <= 10 and numbers == sorted(numbers, reverse=True)


def test_files_stand_by_currency_with_payments_before_their_statement(
    client: Client, closed: str, home: Path
) -> None:
    first = min((home / "files").glob("*.xml"))
    (home / "files" / f"camt.053-{first.name}").write_bytes(first.read_bytes())

    rows = re.findall(r'scope="row">(\w+)</th><td>(\w+)', client.get("/console/files").text)

    assert rows == [("CAD", "Payments"), ("CAD", "Statement"), ("CNY", "Payments")]


def test_the_wallet_offers_riders_who_rode_and_says_what_they_did(client: Client, closed: str) -> None:
    page = client.get("/wallet/").text

    assert "Hangzhou · adult · 1 journey in Toronto, paid in CNY" in page
    assert re.search(r"Emily Tremblay</strong>[^>]+>Toronto · \w+ · 1 journey in Hangzhou, paid in CAD", page)


def test_the_day_explains_its_signs(client: Client, closed: str) -> None:
    page = client.get(f"/console/days/{closed}").text

    assert "means it receives" in page and "means it pays" in page


@pytest.mark.parametrize("path", PAGES)
def test_every_table_has_a_caption_and_tabs_run_as_the_page_reads(
    client: Client, closed: str, path: str
) -> None:
    page = client.get(path).text

    assert len(re.findall(r"<table[^>]*>\s*<caption", page)) == page.count("<table")
    assert set(re.findall(r'tabindex="([^"]+)"', page)) <= {"-1", "0"}


def test_bank_files_are_handed_out_by_their_listed_names_only(
    client: Client, closed: str, home: Path
) -> None:
    (home / "secret.xml").write_text("<secret/>")
    page = client.get("/console/files").text
    names = set(re.findall(r'href="/console/files/([^"]+)" download', page))
    assert len(names) == 2

    for name in names:
        answer = client.get(f"/console/files/{name}")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "pain.001.001.09" in answer.text
    for name in ("../secret.xml", "..%2Fsecret.xml", "%2e%2e%2fsecret.xml", "nothing.xml"):
        assert client.get(f"/console/files/{name}").status_code == 404


def test_riders_are_found_by_name(client: Client, ridden: LittleLeague) -> None:
    assert "Gao Lan" in client.get("/console/riders?q=gao").text
    assert "Gao Lan" not in client.get("/console/riders?q=gao&city=toronto").text
    account = ridden.riders["Gao Lan"].account_id
    page = client.get(f"/console/riders/{account}").text
    assert "29 Dufferin" in page


def test_names_are_shown_as_text_and_never_as_markup(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    answer = client.get("/console/riders", params={"q": "<script>alert(1)</script>"})

    assert "<script>alert" not in answer.text and "&lt;script&gt;" in answer.text


def test_the_ledger_page_shows_even_books(client: Client, ridden: LittleLeague) -> None:
    page = client.get("/console/ledger").text

    assert "Debits equal credits in every currency" in page and "Wallet" in page


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/console/days/2026-11-17", 404, "clearing.unknown_day"),
        ("/console/days/tomorrow", 404, "web.not_found"),
        ("/console/?day=tomorrow", 422, "web.does_not_fit"),
        ("/console/days/2026-11-17/members/nobody/CNY", 404, "trust.unknown_member"),
        ("/console/journeys/00000000-0000-0000-0000-000000000000", 404, "rides.unknown_journey"),
        ("/console/riders/00000000-0000-0000-0000-000000000000", 404, "identity.unknown_account"),
        ("/console/ledger/accounts/00000000-0000-0000-0000-000000000000", 404, "ledger.unknown_account"),
        ("/console/ledger/accounts/00000000-0000-0000-0000-000000000000?after=x", 422, "web.does_not_fit"),
    ],
)
def test_what_is_not_there_is_said_clearly(
    client: Client, league: LittleLeague, path: str, status: int, code: str
) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_tables_of_clearing_are_given_out_as_csv(
    ctx: Context, client: Client, stranger: Client, closed: str
) -> None:
    window_id = f"daily-{closed.replace('-', '')}"
    day_page = client.get(f"/console/days/{closed}").text
    position_page = client.get(f"/console/windows/{window_id}/positions/toronto-card/hangzhou-metro/CNY").text
    links = {
        link: client.get(link.replace("&amp;", "&"))
        for page in (day_page, position_page, client.get("/console/files").text)
        for link in re.findall(r'href="([^"]+)" download>(?!HANSA|camt)', page)
    }

    assert len(links) == 5 and {one.status_code for one in links.values()} == {200}
    assert all(one.headers["content-type"].startswith("text/csv; ") for one in links.values())
    [items] = [one.text for link, one in links.items() if link.endswith("items.csv")]
    with ctx.tx() as tx:
        [item] = clearing.window_items(tx, window_id, "toronto-card", "hangzhou-metro", "CNY")
    header, row = items.splitlines()
    told = dict(zip(header.split(","), row.split(","), strict=True))
    assert (told["item"], told["kind"]) == (str(item.transfer_id), "fare")
    assert (told["amount_minor"], told["amount"]) == (str(item.amount.minor), item.amount.decimal())
    assert f"/console/disputes/new?item={item.transfer_id}" in position_page
    [files] = [one.text for link, one in links.items() if link == "/console/files.csv"]
    assert len(files.splitlines()) == 1 + 2, "a header and the two files of the day"
    for link in links:
        assert stranger.get(link).status_code == 401
    unknown = "/console/windows/daily-20200101/positions/a/b/CNY/items.csv"
    assert client.get(unknown).json()["code"] == "clearing.unknown_window"


def test_the_issuer_freezes_spending_with_a_reason_and_lets_it_go_on(
    ctx: Context, client: Client, ridden: LittleLeague
) -> None:
    account = ridden.riders["Gao Lan"].account_id
    desk = f"/console/riders/{account}/spending"

    def frozen() -> approval.Freeze | None:
        with ctx.tx() as tx:
            return approval.find_freeze(tx, ctx.directory.partition_of(account), account)

    for poor in ("", " ", "x" * 501):
        assert client.post(desk, data={"do": "freeze", "reason": poor}).status_code == 422
    assert frozen() is None

    page = client.post(desk, data={"do": "freeze", "reason": "card reported stolen"}).text
    assert "card reported stolen" in page and "Let spending go on" in page
    found = frozen()
    assert found is not None and found.frozen_by == "issuer"
    page = client.post(desk, data={"do": "unfreeze", "reason": "it was found"}).text
    assert frozen() is None and "Freeze as the issuer" in page
    with ctx.tx() as tx:
        acts = [(one.action, one.reason) for one in audit.search(tx, subject=f"account:{account}")]
    assert {("spending.freeze", "card reported stolen"), ("spending.unfreeze", "it was found")} <= set(acts)
