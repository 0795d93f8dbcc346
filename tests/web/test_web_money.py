"""The pages of people's money: each flow by plain forms, nothing doubled by a reload, unhappy paths in words."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import payments, wallets
from hansa.apps.bank.people_rails import rails_at
from hansa.kernel import FixedClock, Money
from hansa.store import Context
from hansa.wallets import approving, vouchers
from scratch import NOON
from web.little_league import LittleLeague
from web.test_web_me import prove

Client = TestClient[Any]


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Approval is tested with its room, and in tests/wallets/test_wallet_approvals.py."""

    def may_begin(*_: object) -> bool:
        return True

    monkeypatch.setattr(approving, "may_begin", may_begin)


@pytest.fixture(autouse=True)
def fresh_rails(ctx: Context) -> Iterator[None]:
    """The simulated bank of this test's home, on the test's clock."""
    rails_at.cache_clear()
    yield
    rails_at.cache_clear()
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOON


def sign_in(client: Client, league: LittleLeague, name: str) -> None:
    account = league.riders[name]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's first form that sends on."""
    form = page[page.index('<form method="post"', page.index("<main")) :]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[: form.index("</form>")])
    return {name: html.unescape(value) for name, value in found}


def code_of(client: Client, league: LittleLeague, name: str) -> str:
    sign_in(client, league, name)
    found = re.search(r'class="spoken">([^<]+)<', client.get("/wallet/money").text)
    assert found is not None
    return found[1]


def money(ctx: Context, league: LittleLeague, name: str) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, league.riders[name].account_id)


def test_money_is_sent_by_a_code_checked_first_and_once(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    code = code_of(client, league, "Qian Qing")
    sign_in(client, league, "Gao Lan")
    form = {"to": code, "amount": "12.50", "currency": "CNY", "note": "<b>tea</b>", "expected": "Qian Qing"}

    check = client.post("/wallet/send/check", data=form)
    assert "The name fits." in check.text and "Qian Q." in check.text and "<b>tea" not in check.text
    assert money(ctx, league, "Qian Qing") == [Money(100_00, "CNY")]
    sent = [client.post("/wallet/send", data=fields(check.text)) for _ in range(2)]

    assert all("Arrived" in one.text and one.status_code == 200 for one in sent)
    receipt = re.search(r'href="(/wallet/receipts/[^"]+)"', sent[0].text)
    assert receipt is not None and client.get(receipt[1]).status_code == 200
    assert money(ctx, league, "Qian Qing") == [Money(112_50, "CNY")]
    assert "Qian Q." in client.get("/wallet/send").text
    assert "来自 Gao L." in _as(client, league, "Qian Qing", "/wallet/money?language=zh")


def _as(client: Client, league: LittleLeague, name: str, address: str) -> str:
    sign_in(client, league, name)
    return client.get(address).text


def test_what_cannot_be_sent_is_told_in_place_and_keeps_what_was_written(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    code = code_of(client, league, "Qian Qing")
    sign_in(client, league, "Gao Lan")

    for form, words in (
        ({"to": code, "amount": "1000", "note": "mine"}, "The wallet holds too little"),
        ({"to": code[:-1] + "#", "amount": "1", "note": "mine"}, "Nobody can be paid"),
        ({"to": code, "amount": "one", "note": "mine"}, "no amount"),
        ({"to": code, "amount": "0", "note": "mine"}, "Give an amount above zero"),
        ({"to": code, "amount": "-5", "note": "mine"}, "Give an amount above zero"),
        ({"to": code, "amount": "1", "currency": "GBP", "note": "mine"}, "no wallet in this currency"),
    ):
        answer = client.post("/wallet/send/check", data=form)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
        assert 'role="alert"' in answer.text and "mine" in answer.text

    wrong = {"to": code, "amount": "1", "expected": "Omar Singh"}
    assert "The name does not fit" in client.post("/wallet/send/check", data=wrong).text
    assert money(ctx, league, "Gao Lan") == [Money(100_00, "CNY")]


def test_a_link_is_made_claimed_by_another_and_not_twice(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    sign_in(client, league, "Gao Lan")
    check = client.post("/wallet/send/check", data={"amount": "20", "by_link": "yes"})
    page = client.post("/wallet/send", data=fields(check.text))
    shown = client.post(f"{page.url}/link")
    found = re.search(r"/wallet/claim/[\w-]+", shown.text)
    assert found is not None
    assert "for somebody else" in client.get(found[0]).text

    assert "¥20.00" in _as(client, league, "Emily Tremblay", found[0])
    assert "You received" in client.post(found[0]).text
    sign_in(client, league, "Omar Singh")
    assert client.post(found[0]).status_code == 409

    assert Money(20_00, "CNY") in money(ctx, league, "Emily Tremblay")
    assert money(ctx, league, "Gao Lan") == [Money(80_00, "CNY")]


def test_a_request_is_asked_paid_and_declined(ctx: Context, client: Client, league: LittleLeague) -> None:
    code = code_of(client, league, "Gao Lan")
    sign_in(client, league, "Qian Qing")
    form = {
        "request_id": hidden(client.get("/wallet/requests").text, "request_id"),
        "to": code,
        "amount": "7.5",
        "currency": "CNY",
        "note": "lunch",
    }
    asked = [client.post("/wallet/requests", data=form) for _ in range(2)]
    assert asked[0].url == asked[1].url and "Remind" in asked[0].text
    assert client.post(f"{asked[0].url}/remind").status_code == 409

    assert "Qian Q. asks you for ¥7.50" in _as(client, league, "Gao Lan", "/wallet/money")
    paid = [client.post(f"{asked[0].url}/pay") for _ in range(2)]
    assert all("Arrived" in one.text for one in paid)
    assert money(ctx, league, "Gao Lan") == [Money(92_50, "CNY")]
    assert client.post(f"{asked[0].url}/decline", data={}).status_code == 409
    assert _status(client, league, "Omar Singh", str(asked[0].url)) == 404


def _status(client: Client, league: LittleLeague, name: str, address: str) -> int:
    sign_in(client, league, name)
    return client.get(address).status_code


def test_a_bill_is_split_to_the_last_cent(ctx: Context, client: Client, league: LittleLeague) -> None:
    codes = [code_of(client, league, name) for name in ("Qian Qing", "Emily Tremblay")]
    sign_in(client, league, "Gao Lan")
    form = {
        "split_id": hidden(client.get("/wallet/split").text, "split_id"),
        "title": "Hot pot",
        "amount": "100",
        "currency": "CNY",
        "way": "equal",
        "with_me": "yes",
        "to_1": codes[0],
        "to_2": codes[1],
    }

    assert "nobody is known" in client.post("/wallet/split", data=form | {"to_2": "nobody"}).text.lower()
    made = client.post("/wallet/split", data=form)
    again = client.post("/wallet/split", data=form)

    assert made.url == again.url and "¥33.34" in made.text and made.text.count("¥33.33") == 2
    assert "asks you for ¥33.33" in _as(client, league, "Qian Qing", "/wallet/money")


def test_a_wallet_is_topped_up_from_a_bank_and_a_day_later_pays_back_to_it(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert isinstance(ctx.clock, FixedClock)
    sign_in(client, league, "Gao Lan")
    page = client.get("/wallet/top-up").text
    assert "RF" in page and "You have no bank account" in page
    unproved = client.post("/wallet/banks", data={"number": "6222 0001 4242", "back": "top-up"})
    assert unproved.status_code == 422 and 'href="/wallet/me/name"' in unproved.text
    prove(client)
    bad = client.post("/wallet/banks", data={"number": "DE00 1234 5678", "back": "top-up"})
    assert bad.status_code == 422 and "mistyped" in bad.text
    page = client.post(
        "/wallet/banks", data={"number": "6222 0001 4242", "may_pull": "yes", "back": "top-up"}
    ).text
    form = {
        "top_up_id": hidden(page, "top_up_id"),
        "bank_account_id": hidden(page, "bank_account_id"),
        "amount": "30",
        "way": "instant",
    }
    done = [client.post("/wallet/top-up/bank", data=form) for _ in range(2)]
    assert all("In your wallet" in one.text for one in done)
    assert money(ctx, league, "Gao Lan") == [Money(130_00, "CNY")]

    assert "Can be paid from" in client.get("/wallet/withdraw").text
    ctx.clock.at += timedelta(days=1, minutes=1)
    sign_in(client, league, "Gao Lan")
    page = client.get("/wallet/withdraw").text
    out = {
        "withdrawal_id": hidden(page, "withdrawal_id"),
        "bank_account_id": form["bank_account_id"],
        "amount": "50",
    }
    assert client.post("/wallet/withdraw/check", data=out | {"amount": "999"}).status_code == 422
    check = client.post("/wallet/withdraw/check", data=out)
    ended = [client.post("/wallet/withdraw", data=fields(check.text)) for _ in range(2)]

    assert all("booking" in one.text.lower() for one in ended)
    assert "¥50.00 more is set aside" in client.get("/wallet/money").text
    automatic = {"below": "200", "add": "20", "day_max": "40", "month_max": "80"}
    on = client.post(
        "/wallet/top-up/automatic", data=automatic | {"bank_account_id": form["bank_account_id"]}
    )
    assert "On: below ¥200.00, add ¥20.00." in on.text
    assert "On: below" not in client.post("/wallet/top-up/automatic", data={"off": "yes"}).text
    mandate = f"/wallet/banks/{form['bank_account_id']}/mandate"
    stopped = client.post(mandate, data={}).text
    assert "Let it be collected from" in stopped and "with a mandate" not in stopped
    assert (
        client.post(
            "/wallet/top-up/bank", data=form | {"top_up_id": str(UUID(int=7)), "way": "debit"}
        ).status_code
        == 422
    )
    assert "Stop collecting from it" in client.post(mandate, data={"may_pull": "yes"}).text
    assert (
        client.post(f"/wallet/banks/{form['bank_account_id']}/end").status_code == 422
    )  # 50 are on their way to it


def test_a_voucher_tops_up_once_and_a_wrong_code_says_so(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    new = wallets.NewBatch(
        batch_id=UUID(int=5),
        issuer_id="hangzhou-card",
        value=Money(25_00, "CNY"),
        count=2,
        expires_at=ctx.clock.now() + timedelta(days=90),
    )
    _, codes = vouchers.make(ctx, new, by="anna")
    vouchers.activate(ctx, new.batch_id, 1, 1, by="bo", issuer_id="hangzhou-card")
    sign_in(client, league, "Gao Lan")

    first = client.post("/wallet/vouchers", data={"code": wallets.code_text(codes[0], group=4)})
    again = client.post("/wallet/vouchers", data={"code": codes[0]})
    unsold = client.post("/wallet/vouchers", data={"code": codes[1]})

    assert first.url == again.url and "In your wallet" in first.text
    assert unsold.status_code == 409 and 'role="alert"' in unsold.text
    assert money(ctx, league, "Gao Lan") == [Money(125_00, "CNY")]


def test_transfers_and_withdrawals_over_http_need_a_key_that_is_not_used_twice(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    code = code_of(client, league, "Qian Qing")
    sign_in(client, league, "Gao Lan")
    found = client.post("/v1/receivers", json={"to": code, "expected_name": "Qing Qian"}).json()
    assert (found["name"], found["match"]) == ("Qian Q.", "match")
    body = {"receiver_id": found["receiver_id"], "amount": {"minor": 500, "currency": "CNY"}, "note": "hi"}

    assert client.post("/v1/transfers", json=body).status_code == 400
    key = {"idempotency-key": "one"}
    first, again = (client.post("/v1/transfers", json=body, headers=key) for _ in range(2))
    other = client.post("/v1/transfers", json=body | {"note": "ho"}, headers=key)

    assert (first.status_code, first.json()["state"]) == (200, "settled")
    assert again.json() == first.json() and other.status_code == 422
    assert client.get("/v1/transfers").json()["transfers"] == [first.json()]
    assert money(ctx, league, "Qian Qing") == [Money(105_00, "CNY")]
    sign_in(client, league, "Qian Qing")
    assert len(client.get("/v1/arrivals").json()["arrivals"]) == 1
    assert client.get(f"/v1/transfers/{first.json()['transfer_id']}").status_code == 404
    client.cookies.clear()
    assert client.get("/v1/transfers").status_code == 401
