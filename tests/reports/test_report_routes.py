"""Reports over HTTP and in the console: a member reads its own, and every page and file stands."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from clearing.example_day import DAY, ride_all
from hansa import reports, trust
from hansa.apps.web import create_app
from hansa.apps.web.pages import as_day
from hansa.clearing import day_window
from hansa.reports.matrix import matrix_of
from hansa.store import Context
from reports.test_invoices import tell_parties
from reports.test_statements import NEXT, close, pay, ride
from web.conftest import HERE, seen_from

Client = TestClient[Any]
WINDOW = day_window(DAY)


@pytest.fixture
def client(ctx: Context, tmp_path: Path) -> Iterator[Client]:
    app = create_app(ctx, home=tmp_path, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def stranger(ctx: Context, tmp_path: Path) -> Iterator[Client]:
    app = create_app(ctx, home=tmp_path, demo=True)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def cleared(ctx: Context) -> Context:
    """The example day, cleared and paid; a second day that nobody has paid yet."""
    ride_all(ctx)
    close(ctx)
    pay(ctx)
    tell_parties(ctx)
    ride(ctx, [300], [("hangzhou-card", "beijing-subway", 12_000)])
    close(ctx, NEXT)
    reports.invoice_period(ctx, DAY, DAY, by="league:anna")
    return ctx


def bearer(ctx: Context, member: str, *scopes: str) -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, list(scopes), at=ctx.clock.now())
    return {"authorization": f"Bearer {secret}"}


AT = "/v1/reports/windows"


def test_a_member_reads_its_own_statement_and_no_other(cleared: Context, stranger: Client) -> None:
    key = bearer(cleared, "beijing", "clearing:read")

    own = stranger.get(f"{AT}/{WINDOW}/members/beijing/statement", headers=key)
    part = stranger.get(f"{AT}/{WINDOW}/members/beijing-card/statement", headers=key)
    other = stranger.get(f"{AT}/{WINDOW}/members/hangzhou/statement", headers=key)
    nobody = stranger.get(f"{AT}/{WINDOW}/members/beijing/statement")

    assert own.status_code == part.status_code == 200, own.text
    assert own.json()["currencies"][0]["closing"] == {"minor": 982, "currency": "CNY"}
    assert (other.status_code, other.json()["code"]) == (404, "trust.unknown_member")
    assert nobody.status_code == 401


@pytest.mark.parametrize(("form", "begins"), [("pdf", b"%PDF"), ("csv", b"statement,"), ("parquet", b"PAR1")])
def test_a_statement_is_given_as_a_file(cleared: Context, client: Client, form: str, begins: bytes) -> None:
    api = client.get(f"{AT}/{WINDOW}/members/beijing/statement/{form}")
    page = client.get(f"/console/reports/statements/{WINDOW}/beijing?form={form}")

    assert api.status_code == page.status_code == 200, api.text
    assert api.content.startswith(begins) and api.content == page.content
    assert api.headers["content-disposition"] == page.headers["content-disposition"]


def test_a_member_sees_of_matrix_ageing_and_invoices_only_its_own(cleared: Context, stranger: Client) -> None:
    key = bearer(cleared, "hong-kong", "clearing:read")

    matrix = stranger.get(f"{AT}/{WINDOW}/matrix?currency=CNY", headers=key).json()
    ageing = stranger.get("/v1/reports/ageing", headers=key).json()
    invoices = stranger.get(
        "/v1/reports/invoices", headers=bearer(cleared, "hong-kong-mtr", "clearing:read")
    ).json()
    strange = stranger.get("/v1/reports/invoices/league-000001/pdf", headers=key)

    assert [(one["issuer_id"], one["operator_id"]) for one in matrix["cells"]] == [
        ("hong-kong-card", "beijing-subway")
    ]
    assert ageing["open"] == []
    assert {one["buyer_id"] for one in invoices["invoices"]} == {"hong-kong-mtr"}
    assert (strange.status_code, strange.json()["code"]) == (404, "reports.unknown_invoice")


def test_the_league_sees_what_waits(cleared: Context, client: Client) -> None:
    found = client.get("/v1/reports/ageing").json()["open"]

    assert [(one["kind"], one["ref"], one["age"]) for one in found] == [
        ("unsettled", day_window(NEXT), "0–1")
    ]


def test_the_page_of_what_waits_names_a_window_as_people_do(cleared: Context, client: Client) -> None:
    told = client.get("/console/reports/ageing").text

    assert f">{as_day(NEXT)}</a>" in told and f">{NEXT}</a>" not in told


def test_invoices_are_made_by_the_league_alone(cleared: Context, client: Client, stranger: Client) -> None:
    body = {"first_day": str(NEXT), "last_day": str(NEXT)}
    refused = stranger.post(
        "/v1/reports/invoices", json=body, headers=bearer(cleared, "beijing", "reports:write")
    )
    early = client.post("/v1/reports/invoices", json=body)

    assert (refused.status_code, refused.json()["code"]) == (403, "trust.not_allowed")
    assert early.status_code in (200, 422)
    again = client.post("/v1/reports/invoices", json={"first_day": str(DAY), "last_day": str(DAY)})
    assert again.json() == {"invoices": [], "next": None}


def test_who_a_member_is_is_set_by_the_league(cleared: Context, client: Client) -> None:
    body = {
        "legal_name": "Peking",
        "street": "1",
        "city": "Beijing",
        "post_code": "1",
        "country": "CN",
        "valid_from": "2027-01-01",
    }

    told = client.put("/v1/reports/parties/beijing", json=body)
    wrong = client.put("/v1/reports/parties/beijing", json=body | {"country": "cn"})

    assert told.json() == {"member_id": "beijing", "tax_number": "", **body}
    assert (wrong.status_code, wrong.json()["violations"][0]["param"]) == (422, "country")


def test_an_audit_pack_comes_over_http(cleared: Context, client: Client, tmp_path: Path) -> None:
    answer = client.get(f"{AT}/{WINDOW}/audit-pack")

    path = tmp_path / "pack.zip"
    path.write_bytes(answer.content)
    assert all(one.ok in (True, None) for one in reports.check_pack(path))
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert json.loads(archive.read("window.json"))["window_id"] == WINDOW


PAGES = [
    "/console/reports",
    f"/console/reports/statements/{WINDOW}/beijing",
    f"/console/reports/statements/{WINDOW}/beijing-card",
    f"/console/reports/statements/{day_window(NEXT)}/league",
    f"/console/reports/matrix/{WINDOW}",
    f"/console/reports/matrix/{WINDOW}?currency=HKD",
    "/console/reports/ageing",
    "/console/reports/revenue",
    "/console/reports/invoices",
    "/console/reports/invoices/league-000001",
    f"/console/reports/audit/{WINDOW}",
    "/console/search",
    "/console/search?q=beijing",
]
FILES = [
    f"/console/reports/matrix/{WINDOW}?form=csv",
    f"/console/reports/matrix/{WINDOW}?form=nets",
    "/console/reports/ageing?form=csv",
    "/console/reports/revenue?form=csv",
    "/console/reports/invoices/league-000001?form=xml",
    "/console/reports/invoices/league-000001?form=pdf&language=zh",
]


def test_every_page_stands_and_every_link_on_it_leads_somewhere(cleared: Context, client: Client) -> None:
    import re

    seen: set[str] = set()
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text[:2000])
        assert '<main id="main"' in answer.text
        seen |= set(re.findall(r'href="(/console/(?:reports|days|search|ledger)[^"#]*)"', answer.text))
    for link in sorted(seen):
        assert client.get(link.replace("&amp;", "&")).status_code == 200, link
    for path in FILES:
        answer = client.get(path)
        assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"], path


def test_pages_are_closed_to_strangers(stranger: Client) -> None:
    for path in PAGES:
        assert stranger.get(path).status_code == 401, path


def test_an_empty_league_has_reports_too(ctx: Context, client: Client) -> None:
    for path in (
        "/console/reports",
        "/console/reports/ageing",
        "/console/reports/revenue",
        "/console/search?q=7",
    ):
        assert client.get(path).status_code == 200, path


def test_invoicing_in_the_console_tells_what_is_missing(ctx: Context, client: Client) -> None:
    ride_all(ctx)
    close(ctx)

    refused = client.post("/console/reports/invoices", data={"first_day": str(DAY), "last_day": str(DAY)})

    assert refused.status_code == 422 and "who beijing-card is to a tax office" in refused.text


# asked | what is found, first
SEARCHES = [
    ("HANSA-20261117-CNY-beijing", ("payment", "HANSA-20261117-CNY-beijing")),
    ("9.82", ("net", f"{WINDOW}/beijing/CNY")),
    ("3.96 cny", ("net", f"{WINDOW}/hangzhou/CNY")),
    ("11.50 HKD", ("position", f"{WINDOW}/beijing-card/hong-kong-mtr/HKD")),
    ("hangzhou-me", ("member", "hangzhou-metro")),
    ("league-000002", ("invoice", "league-000002")),
    ("2026-11-17", ("window", WINDOW)),
    (WINDOW, ("window", WINDOW)),
]


def test_one_box_finds_ids_names_and_amounts(cleared: Context) -> None:
    from hansa.reports.search import search

    with cleared.tx() as tx:
        for text, first in SEARCHES:
            found = search(tx, text)
            assert found and (found[0].kind, found[0].ref) == first, (text, found)
        for text in ("", " ", "\0", "0.001 CNY", "nothing of that", "99999999999999999999"):
            assert search(tx, text) == [], text


def test_a_large_matrix_is_folded_and_its_sums_stay(cleared: Context) -> None:
    from hansa import clearing

    with cleared.tx() as tx:
        positions = clearing.window_positions(tx, WINDOW)
    whole, folded = matrix_of(positions, "CNY"), matrix_of(positions, "CNY", side_max=2)

    assert whole.total == folded.total == 2_300 and whole.positions == folded.positions == 4
    assert folded.issuers == ("hangzhou-card", "") and folded.operators == (
        "beijing-subway",
        "hangzhou-metro",
    )
    assert sum(folded.issuer_sums.values()) == sum(folded.operator_sums.values()) == 2_300
    assert whole.cells["hangzhou-card", "beijing-subway"].heat == 5
    assert whole.cells["beijing-card", "beijing-subway"].heat == 4
