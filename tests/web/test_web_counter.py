"""The counter: vouchers printed once and sold, money taken with a receipt, nothing twice."""

import re
from typing import Any

from litestar.testing import TestClient

from hansa import payments
from hansa.kernel import Money
from hansa.store import Context
from hansa.wallets import code_text, finding, vouchers
from web.little_league import LittleLeague

Client = TestClient[Any]


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def test_vouchers_are_printed_once_sold_and_redeemed(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    form = {
        "batch_id": hidden(client.get("/console/counter").text, "batch_id"),
        "issuer": "hangzhou-card",
        "value": "20",
        "currency": "CNY",
        "count": "3",
        "until": "2027-06-30",
        "expiry": "keep",
        "about": "<b>Spring</b>",
    }
    assert client.post("/console/counter/batches", data=form | {"value": "x"}).status_code == 422
    assert (
        client.post("/console/counter/batches", data=form | {"issuer": "hangzhou-metro"}).status_code == 422
    )
    sheet = client.post("/console/counter/batches", data=form)
    codes = re.findall(r'class="code-in">([^<]+)<', sheet.text)
    again = client.post("/console/counter/batches", data=form)
    own = f"/console/counter/batches/{form['batch_id']}"

    assert len(codes) == 3 and "<b>Spring" not in sheet.text
    assert again.status_code == 422 and codes[0] not in again.text
    assert "Sold: 1-2" in client.post(f"{own}/sell", data={"first": "1", "last": "2"}).text
    assert client.post(f"{own}/sell", data={"first": "3", "last": "9"}).status_code == 409
    client.post(f"{own}/void")
    assert client.post(f"{own}/sell", data={"first": "3"}).status_code == 409
    vouchers.redeem(ctx, league.riders["Gao Lan"].account_id, codes[0])
    with ctx.tx() as tx:
        assert payments.balance_of(tx, league.riders["Gao Lan"].account_id) == [Money(120_00, "CNY")]


def test_money_is_taken_once_and_the_receipt_masks_the_name(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"].account_id
    form = {
        "top_up_id": hidden(client.get("/console/counter").text, "top_up_id"),
        "to": code_text(finding.code_of(ctx, account)),
        "amount": "15.50",
        "currency": "CNY",
        "at_counter": "West station",
    }

    done = [client.post("/console/counter/top-ups", data=form) for _ in range(2)]
    nobody = client.post("/console/counter/top-ups", data=form | {"to": "nobody"})

    assert done[0].url == done[1].url and "In the wallet" in done[0].text
    assert "Gao L." in done[0].text and "West station" in done[0].text and "Gao Lan" not in done[0].text
    assert nobody.status_code == 422 and 'role="alert"' in nobody.text
    with ctx.tx() as tx:
        assert payments.balance_of(tx, account) == [Money(115_50, "CNY")]


def test_a_stranger_has_no_counter(stranger: Client) -> None:
    assert stranger.get("/console/counter").status_code in (401, 403, 404)
