"""A wallet's days in Chromium, with nothing put in place of anything: money without scripts, limits and the freeze,
a wallet lent and taken back, one's papers and data taken along.
"""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from browser.conftest import PATIENCE_S, PHONE, Served
from browser.passkeys import VirtualAuthenticator, at_localhost, authenticator
from browser.test_browser_money import sign_in
from browser.test_browser_scan import open_shop
from hansa import merchants, payments, wallets
from hansa.apps.bank.people_rails import rails_at
from hansa.apps.personal_means import means_of
from hansa.kernel import Money
from hansa.trust.tlog.standalone import hansa_verify
from identity.levels import prove_names

__all__ = ["authenticator"]
pytestmark = pytest.mark.browser

PIN = "845291"
LATER = (
    "update approval.limits set next_at = next_at - interval '2 days' where next_at is not null",
    "update approval.delegations set holds_from = holds_from - interval '2 days'",
    "update approval.pins set set_at = set_at - interval '9 days'",
)
"""Two days go by for what waits in the approval room."""


@pytest.fixture(autouse=True)
def rails() -> None:
    """Each league has a bank of its own."""
    rails_at.cache_clear()


def plain_page(chromium: Browser) -> Page:
    """A phone's browser without scripts."""
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(PATIENCE_S * 1000)
    return context.new_page()


def held(served: Served, name: str) -> Money:
    """What a rider's wallet holds."""
    with served.ctx.tx() as tx:
        return payments.balance_of(tx, served.league.riders[name].account_id)[0]


def pass_days(served: Served) -> None:
    with served.ctx.tx() as tx:
        for words in LATER:
            tx.execute(words)  # pyright: ignore[reportArgumentType, reportCallIssue]


def counter_code(served: Served, *, owner: str) -> str:
    """The text of the code that stands on the counter of this rider's shop."""
    shop = open_shop(served, owner=owner)
    with served.ctx.tx() as tx:
        return merchants.code_of_shop(tx, shop)


def read_code(page: Page, url: str, text: str) -> None:
    """Type what a code says."""
    page.goto(f"{url}/wallet/pay")
    page.get_by_label("Type or paste a code").fill(text)
    page.get_by_role("button", name="Read the code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("西湖茶庄")


def pay_typed(page: Page, url: str, text: str, amount: str) -> None:
    """Type a shop's code and an amount, and pay."""
    read_code(page, url, text)
    page.get_by_label("Amount").fill(amount)
    page.get_by_role("button", name="Pay", exact=True).click()


def test_a_day_of_money_with_scripts_off_ends_with_the_freeze(served: Served, chromium: Browser) -> None:
    page, child, url = plain_page(chromium), plain_page(chromium), served.url
    text = counter_code(served, owner="Emily Tremblay")
    gao, qian = (served.league.riders[name] for name in ("Gao Lan", "Qian Qing"))
    prove_names(served.ctx, means_of(served.home, demo=True).sealer, [gao])
    codes = {
        one: wallets.code_text(wallets.finding.code_of(served.ctx, one.account_id)) for one in (gao, qian)
    }

    # a way back by a code begins without scripts
    page.goto(f"{url}/wallet/recover")
    page.get_by_role("textbox", name="Recovery code").fill("AAAA-AAAA-AAAA-AAAA-AAAA")
    page.get_by_role("button", name="Go on with this code").click()
    expect(page.get_by_role("alert")).to_be_visible()

    # a child asks, and is paid with a PIN that is set on the way
    sign_in(child, url, "Qian Qing")
    child.goto(f"{url}/wallet/requests")
    child.get_by_role("textbox", name="From").fill(codes[gao])
    child.get_by_label("Amount", exact=True).fill("18")
    child.get_by_label("Note").fill("Cinema")
    child.get_by_role("button", name="Ask", exact=True).click()
    expect(child.get_by_role("heading", level=1)).to_have_text("You asked Gao L. for ¥18.00")
    sign_in(page, url, "Gao Lan")
    page.goto(f"{url}/wallet/pin")
    page.get_by_label("New PIN").fill(PIN)
    page.get_by_label("Once more").fill(PIN)
    page.get_by_role("button", name="Set the PIN").click()
    pass_days(served)
    page.goto(f"{url}/wallet/requests")
    page.get_by_role("link", name=re.compile("Qian Q.")).click()
    page.get_by_role("button", name="Pay ¥18.00").click()
    page.get_by_label("Your payment PIN").fill(PIN)
    page.get_by_role("button", name="Send ¥18.00").click()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("status")).to_contain_text("Arrived")
    child.goto(f"{url}/wallet/home")
    expect(child.locator(".face .money")).to_have_text("¥118.00")

    # a limit holds at once when lowered, and a day later when raised
    pay_typed(page, url, text, "7.50")
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    set_limit(page, url, "20")
    expect(page.get_by_text("The limit holds from now on.")).to_be_visible()
    pay_typed(page, url, text, "25")
    expect(page.get_by_role("status", name="Not paid")).to_contain_text(
        "This is more than your limits leave."
    )
    set_limit(page, url, "60")
    expect(page.get_by_text("rises later")).to_be_visible()
    pay_typed(page, url, text, "25")
    expect(page.get_by_role("status", name="Not paid")).to_contain_text(
        "This is more than your limits leave."
    )
    assert held(served, "Gao Lan") == Money(74_50, "CNY")
    pass_days(served)
    pay_typed(page, url, text, "25")
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    page.goto(f"{url}/wallet/statement")
    page.get_by_role("link", name="Payment", exact=True).first.click()
    expect(page.locator("main")).to_contain_text("−¥25.00")

    # the freeze stops payments and money sent, and a fresh sign-in lifts it
    page.goto(f"{url}/wallet/limits")
    page.get_by_role("button", name="Freeze my wallet").click()
    expect(page.get_by_role("heading", name="Your wallet is frozen")).to_be_visible()
    pay_typed(page, url, text, "1")
    expect(page.get_by_role("status", name="Not paid")).to_contain_text("Your spending is frozen")
    page.goto(f"{url}/wallet/send?to={codes[qian]}")
    page.get_by_label("Amount", exact=True).fill("4")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send ¥4.00").click()
    expect(page.locator("main")).to_contain_text("Your spending is frozen")
    assert held(served, "Gao Lan") == Money(49_50, "CNY")
    page.goto(f"{url}/wallet/limits")
    page.get_by_role("button", name="Let it pay again").click()
    pay_typed(page, url, text, "1")
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    assert held(served, "Gao Lan") == Money(48_50, "CNY")
    for one in (page, child):
        one.context.close()


def set_limit(page: Page, url: str, amount: str) -> None:
    """Set what one payment may cost at most."""
    page.goto(f"{url}/wallet/limits")
    if not page.get_by_label("At most CNY").is_visible():
        page.get_by_text("Set a limit").click()
    page.get_by_role("combobox", name="For").select_option("payment")
    page.get_by_label("At most CNY").fill(amount)
    page.get_by_role("button", name="Set this limit").click()


def test_a_wallet_is_lent_spent_from_and_taken_back(
    served: Served,
    phone: BrowserContext,
    desk: BrowserContext,
    authenticator: Callable[[Page], VirtualAuthenticator],
) -> None:
    url, text = at_localhost(served.url), counter_code(served, owner="Omar Singh")
    code = wallets.finding.code_of(served.ctx, served.league.riders["Qian Qing"].account_id)
    owner, child = desk.new_page(), phone.new_page()
    authenticator(owner)
    sign_in(owner, url, "Gao Lan")
    sign_in(child, url, "Qian Qing")
    owner.goto(f"{url}/wallet/security")
    owner.get_by_role("button", name="Add a passkey").click()
    owner.wait_for_url("**/wallet/security?done=*")

    owner.goto(f"{url}/wallet/delegations")
    owner.get_by_label("Their code for being paid").fill(wallets.code_text(code))
    owner.get_by_label("Who they are to you").select_option("child")
    for label, amount in (("one payment", "6"), ("a day", "10"), ("a month", "30")):
        owner.get_by_label(label, exact=True).fill(amount)
    owner.get_by_role("button", name="Continue").click()
    expect(owner.get_by_role("heading", name="Let somebody spend from your wallet")).to_be_visible()
    expect(owner.locator("main")).to_contain_text("¥30.00")
    owner.get_by_role("button", name="Allow it").click()
    expect(owner.get_by_role("status")).to_contain_text("Approved")
    owner.get_by_role("link", name="Go on").click()
    expect(owner.get_by_role("region", name="From your wallet")).to_contain_text("holds soon")
    read_code(child, url, text)
    expect(child.get_by_label("Pay from")).to_have_count(0)  # not before a day is over
    pass_days(served)

    for amount, told in (
        ("5.50", "Paid"),
        ("6.50", "more than the owner lets"),
        ("5", "more than the owner lets"),
    ):
        read_code(child, url, text)
        child.get_by_label("Amount").fill(amount)
        child.get_by_label("Pay from").select_option(index=1)
        child.get_by_role("button", name="Pay", exact=True).click()
        expect(child.locator("main")).to_contain_text(told)
    assert (held(served, "Gao Lan"), held(served, "Qian Qing")) == (Money(94_50, "CNY"), Money(100_00, "CNY"))
    owner.goto(f"{url}/wallet/delegations")
    owner.get_by_text("What was spent").click()
    expect(owner.get_by_role("region", name="From your wallet")).to_contain_text("¥5.50")

    read_code(child, url, text)
    child.get_by_label("Amount").fill("1")
    child.get_by_label("Pay from").select_option(index=1)
    owner.get_by_role("button", name=re.compile("End it")).click()
    expect(owner.get_by_role("status")).to_contain_text("It has ended.")
    child.get_by_role("button", name="Pay", exact=True).click()
    expect(child.locator("main")).to_contain_text("does not let you spend from this wallet now")
    read_code(child, url, text)
    expect(child.get_by_label("Pay from")).to_have_count(0)
    assert held(served, "Gao Lan") == Money(94_50, "CNY")


def test_papers_and_data_are_taken_along_and_prove_themselves(
    served: Served, phone: BrowserContext, tmp_path: Path
) -> None:
    page, url = phone.new_page(), served.url
    text = counter_code(served, owner="Omar Singh")
    sign_in(page, url, "Gao Lan")
    pay_typed(page, url, text, "12.34")
    expect(page.get_by_role("heading", name="Paid")).to_be_visible()

    def download(link: Locator, name: str) -> Path:
        with page.expect_download() as found:
            link.click()
        found.value.save_as(tmp_path / name)
        return tmp_path / name

    # a statement on paper, and the proof that it is whole
    page.goto(f"{url}/wallet/statement")
    page.get_by_role("link", name="Statements by month").click()
    page.locator("main .list a").first.click()
    paper = download(page.get_by_role("link", name="PDF"), "month.pdf")
    bundle = download(page.get_by_role("link", name="With proof (ZIP)"), "month.zip")
    table = download(page.get_by_role("link", name="CSV"), "month.csv")
    key = re.search(r"--log-key '(.+)'", page.locator("pre.command").inner_text())
    assert key is not None
    for file in (paper, bundle):
        assert hansa_verify.main(["statement", str(file), "--log-key", key[1]]) == 0
    (tmp_path / "spoilt.pdf").write_bytes(paper.read_bytes().replace(b"%PDF-1.", b"%PDF-2.", 1))
    assert hansa_verify.main(["statement", str(tmp_path / "spoilt.pdf"), "--log-key", key[1]]) == 1
    assert "-12.34" in table.read_text("utf-8-sig")
    page.goto(f"{url}/verify/statement")
    page.get_by_label("The code’s text after “seal=”").fill(
        paper.read_bytes().rpartition(hansa_verify.SEAL_MARK)[2].decode().strip()
    )
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_role("heading", name="The city has sealed this statement")).to_be_visible()

    # where the money went, with a budget
    page.goto(f"{url}/wallet/money")
    page.get_by_role("link", name="Where your money went").click()
    expect(page.get_by_role("region", name="Spent").locator(".spent")).to_have_text("¥12.34")
    page.get_by_text("Plan budgets").click()
    page.locator(".budget-fields input").first.fill("10")
    page.get_by_role("button", name="Keep the budgets").click()
    expect(page.get_by_role("region", name="Budgets of a month")).to_contain_text("¥10.00")
    insight = download(page.get_by_role("link", name="Take it along (CSV)"), "insight.csv")
    assert "12.34" in insight.read_text("utf-8-sig")

    # all that is kept
    page.goto(f"{url}/wallet/me/data")
    with zipfile.ZipFile(download(page.get_by_role("button", name="Get the file"), "mine.zip")) as mine:
        names = set(mine.namelist())
        shown = mine.read("index.html").decode()
    assert {"account.json", "movements.json", "payments.json", "sessions.json", "accesses.json"} <= names
    assert "Gao Lan" in shown and "西湖茶庄" in shown
