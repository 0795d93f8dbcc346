"""Receipts checked in the reader's own browser: ticks where all is well, a cross where it is not."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from browser.conftest import Served, sign_in
from hansa import ledger, payments
from hansa.apps.witnessing import ask_witnesses, doors_of, log_signer, read_witnesses
from hansa.trust import KeyFolder
from hansa.trust.tlog import KeyKind, VerifierKey

pytestmark = pytest.mark.browser


@pytest.fixture
def witnessed(served: Served) -> Served:
    """The little league with a witness that has signed its books."""
    home = served.home
    key = VerifierKey.of(KeyFolder(home / "w" / "keys").witness(), "city.example/w", KeyKind.COSIGNATURE)
    (home / "witnesses").write_text(f"folder:w {key}\n")
    signer = log_signer(home)
    with doors_of(home, read_witnesses(home), signer, partitions=[0], clock=served.ctx.clock) as doors:
        assert [answer.words for answer in ask_witnesses(served.ctx, signer, doors)] == [""]
    return served


def states(page: Page) -> list[str | None]:
    """What each step that the browser checked came to."""
    proof = page.locator("[data-check-receipt]")
    expect(proof).to_have_attribute("data-state", re.compile("^(proven|unproven)$"))
    expect(proof.locator("[data-said-by-server]")).to_be_hidden()
    return [step.get_attribute("data-state") for step in proof.locator("> ol > li").all()]


def open_receipt(page: Page, served: Served) -> None:
    sign_in(page, served.url, "Gao Lan")
    page.goto(f"{served.url}/wallet/statement")
    page.get_by_role("link", name="Top-up", exact=True).click()
    page.get_by_role("link", name="Is this in the books?").click()
    expect(page.get_by_role("heading", name="Is this in the books?")).to_be_visible()


def test_a_riders_phone_checks_every_step_of_her_receipt(
    witnessed: Served, phone: BrowserContext, tmp_path: Path
) -> None:
    page = phone.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    open_receipt(page, witnessed)

    assert states(page) == ["passed"] * 4
    expect(page.get_by_text("Proven on this device")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the receipt").click()
    download.value.save_as(tmp_path / "receipt.json")
    assert told == []

    page.goto(f"{witnessed.url}/verify/")
    page.set_input_files("#file", tmp_path / "receipt.json")
    expect(page.locator("[data-found] > .proof")).to_have_attribute("data-state", "proven")
    told_less = json.loads((tmp_path / "receipt.json").read_text())
    told_less["transfer"]["amount"] = "1"
    (tmp_path / "less.json").write_text(json.dumps(told_less))
    page.set_input_files("#file", tmp_path / "less.json")
    expect(page.locator("[data-found] > .proof")).to_have_attribute("data-state", "unproven")
    expect(page.get_by_text("the row says")).to_be_visible()


def test_a_receipt_that_was_tampered_with_shows_a_cross(witnessed: Served, phone: BrowserContext) -> None:
    """Someone between server and phone makes the amount smaller, in the readable part and in the row."""

    def tamper(route: Route) -> None:
        answer = route.fetch()
        body = answer.text()
        (found,) = re.findall(r'<script type="application/json">(.*?)</script>', body, re.DOTALL)
        receipt = json.loads(found)
        row = bytearray.fromhex(receipt["row"])
        row[77] ^= 1
        receipt["row"] = row.hex()
        receipt["transfer"]["amount"] = str(int.from_bytes(row[62:78], "big"))
        route.fulfill(response=answer, body=body.replace(found, json.dumps(receipt)))

    page = phone.new_page()
    sign_in(page, witnessed.url, "Gao Lan")
    with witnessed.ctx.tx() as tx:
        line = payments.movements(tx, witnessed.league.riders["Gao Lan"].account_id)[-1]
    phone.route("**/wallet/receipts/*", tamper)
    page.goto(f"{witnessed.url}/wallet/receipts/{payments.top_up_transfer(line.movement_id, line.at)}")

    assert states(page) == ["passed", "failed", "passed", "passed"]
    expect(page.get_by_text("✗ The transfer is in the log")).to_be_visible()
    expect(page.get_by_text("Not proven")).to_be_visible()


def test_a_row_changed_in_the_database_shows_a_cross(witnessed: Served, desk: BrowserContext) -> None:
    with witnessed.ctx.tx() as tx:
        booked = ledger.block_transfers(tx, 0, 1)[0]
        tx.execute(
            "update ledger.transfers set memo = 'x' where transfer_id = %s", (booked.transfer.transfer_id,)
        )
    page = desk.new_page()
    page.goto(f"{witnessed.url}/console/ledger/transfers/{booked.transfer.transfer_id}")

    assert states(page)[1] == "failed"


def test_without_javascript_the_server_says_what_it_checked(witnessed: Served, desk: BrowserContext) -> None:
    browser = desk.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(f"{witnessed.url}/wallet/")
    page.get_by_role("button", name="Gao Lan").click()
    page.goto(f"{witnessed.url}/wallet/statement")

    page.get_by_role("link", name="Top-up", exact=True).click()
    page.get_by_role("link", name="Is this in the books?").click()

    expect(page.locator("[data-said-by-server] li[data-state=passed]")).to_have_count(4)
    expect(page.get_by_text("The server checked")).to_be_visible()
    plain.close()
