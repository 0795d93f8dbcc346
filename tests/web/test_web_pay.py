"""Paying in the wallet: what a scanned code is, who is paid, done; pictures, foreign codes, the payer's own page."""

import io
import re
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import zxingcpp
from litestar.testing import TestClient
from PIL import Image

from hansa import approval, merchants
from hansa.codes import emvco
from hansa.kernel import Money, fact_id
from hansa.payments.payment_codes_shown import account_field
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from payments.test_payment_codes_used import PayingPhone

Client = TestClient[Any]
PIX = "00020126330014br.gov.bcb.pix0111123456789015204000053039865406100.005802BR5905Praca6006Recife62070503***6304"


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    return shops.build(ctx, home)


@pytest.fixture
def payer(client: Client, town: Town) -> Client:
    sign_in(client, town, "Qian Qing")
    return client


def sign_in(client: Client, town: Town, name: str) -> None:
    account = town.league.riders[name]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)


def picture(*texts: str) -> bytes:
    """A photograph of these codes side by side."""
    codes = [
        Image.fromarray(
            np.array(
                zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M").to_image(scale=4)
            )
        )
        for text in texts
    ]
    whole = Image.new("L", (sum(one.width + 80 for one in codes), max(one.height for one in codes) + 80), 255)
    x = 40
    for one in codes:
        whole.paste(one, (x, 40))
        x += one.width + 80
    made = io.BytesIO()
    whole.save(made, "PNG")
    return made.getvalue()


def order_code(town: Town, number: int = 1, minor: int = 5_00, **more: object) -> tuple[str, str]:
    order = town.order(number, minor, **more)
    with town.ctx.tx() as tx:
        return merchants.code_of_order(tx, order), str(order.order_id)


def shop_code(town: Town, **more: Any) -> str:
    with town.ctx.tx() as tx:
        return merchants.code_of_shop(tx, town.shop, **more)


def test_an_order_is_scanned_seen_and_paid_once(payer: Client, town: Town) -> None:
    text, order_id = order_code(town, minor=12_50, bill_number="B-17")

    read = payer.post("/wallet/pay/read", data={"text": text}, follow_redirects=False)
    assert (read.status_code, read.headers["location"]) == (303, f"/wallet/pay/order/{order_id}")
    seen = unescape(payer.get(read.headers["location"]).text)
    assert "西湖茶庄" in seen and "West Lake Tea" in seen and "¥12.50" in seen and "B-17" in seen
    paid = [payer.post(f"/wallet/pay/order/{order_id}", data={}, follow_redirects=False) for _ in range(2)]

    assert [one.status_code for one in paid] == [303, 422]
    assert "This was paid already." in unescape(paid[1].text)
    done = unescape(payer.get(paid[0].headers["location"]).text)
    assert "Paid" in done and "¥12.50" in done
    assert town.balance(town.buyer.account_id) == Money(87_50, "CNY")


def test_a_counter_code_asks_for_the_amount_and_pays_once(payer: Client, town: Town) -> None:
    read = payer.post("/wallet/pay/read", data={"text": shop_code(town, till="T1")}, follow_redirects=False)
    assert read.headers["location"] == f"/wallet/pay/shop/{SHOP}?till=T1"
    page = payer.get(read.headers["location"]).text
    form = dict(re.findall(r'name="(form_id|till)" value="([^"]*)"', page))

    for wrong, told in [("", "amount"), ("0", "paid"), ("1.234", "amount"), ("-5", "paid")]:
        refused = payer.post(
            f"/wallet/pay/shop/{SHOP}", data=form | {"amount": wrong}, follow_redirects=False
        )
        assert refused.status_code == 422 and told in refused.text.lower()
    assert town.balance(town.buyer.account_id) == shops.BIG
    answers = [
        payer.post(f"/wallet/pay/shop/{SHOP}", data=form | {"amount": "7,25"}, follow_redirects=False)
        for _ in range(2)
    ]

    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert town.balance(town.buyer.account_id) == Money(92_75, "CNY")
    with town.ctx.tx() as tx:
        (sale,) = merchants.list_sales(town.ctx, tx, SHOP)
    assert (sale.state, sale.till, sale.channel) == ("paid", "T1", "static")


def test_more_than_a_small_sum_leads_to_the_page_of_approval(payer: Client, town: Town) -> None:
    _, order_id = order_code(town, minor=100_01)

    asked = payer.post(f"/wallet/pay/order/{order_id}", data={}, follow_redirects=False)

    assert asked.headers["location"].startswith("/wallet/approvals/")
    with town.ctx.tx() as tx:
        (sale,) = merchants.list_sales(town.ctx, tx, SHOP)
        approval_id = UUID(asked.headers["location"].rpartition("/")[2])
        asking, _ = approval.get_approval(tx, approval_id, town.buyer.account_id, town.ctx.clock.now())
    assert (asking.next_url, asking.subject_id) == (f"/wallet/pay/done/{sale.payment_id}", sale.payment_id)
    assert "100.01" in payer.get(asked.headers["location"]).text
    waiting = payer.get(f"/wallet/pay/done/{sale.payment_id}").text
    assert "Waiting for you" in waiting and "/wallet/approvals/" in waiting
    off = payer.post(f"/wallet/pay/done/{sale.payment_id}/cancel", follow_redirects=True)
    assert "Not paid" in off.text
    assert town.balance(town.buyer.account_id) == shops.BIG


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (PIX + emvco.crc_of(PIX), 200, "paid through Pix, of Brazil"),
        (PIX + "0000", 422, "checksum does not fit"),
        (PIX[:40], 422, "A part of the code is missing"),
        ("https://qr.alipay.com/fkx12345", 200, "in the app of Alipay"),
        ("https://evil.example/pay", 200, "opens no addresses"),
        ("HR1:+WG0", 200, "A ride code"),
        ("HRT:+WG0", 200, "An entry ticket"),
        ("BCD\n002\n1\nSCT\n", 200, "European bank transfer"),
        ("upi://pay?pa=x@y", 200, "A code of UPI"),
        ("weixin://wxpay/bizpayurl?pr=a1B2c3", 200, "A code of WeChat Pay"),
        ("alipays://platformapi/startapp?appId=1", 200, "A code of Alipay"),
        ("hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MQ==", 200, "payer’s code of another network"),
        ("hello", 422, "no payment code that is known here"),
        ("<script>alert(1)</script>", 422, "no payment code that is known here"),
    ],
)
def test_what_is_not_ours_is_named_with_its_reason(payer: Client, text: str, status: int, words: str) -> None:
    answer = payer.post("/wallet/pay/read", data={"text": text}, follow_redirects=False)

    assert answer.status_code == status
    assert words in unescape(answer.text)
    assert "<script>alert" not in answer.text


def test_a_name_in_a_code_that_misleads_the_eye_is_not_shown(payer: Client) -> None:
    body = PIX.replace("5905Praca", "5906Pra\u202eca")
    assert body != PIX

    answer = payer.post("/wallet/pay/read", data={"text": body + emvco.crc_of(body)})

    assert "paid through Pix, of Brazil" in unescape(answer.text)
    assert "Recife" in answer.text and answer.text.count("\u202e") == 1  # where it was typed


def test_a_code_like_ours_that_names_nobody_is_said_to(payer: Client) -> None:
    text = emvco.make_merchant_code(
        [account_field("merchant", fact_id(None, "nobody"))],
        name="Fake",
        city="X",
        country="CN",
        currency="CNY",
    )

    answer = payer.post("/wallet/pay/read", data={"text": text})

    assert "Nobody is known by this code" in answer.text and "Fake" in answer.text


def test_a_payers_own_code_is_not_paid_by_scanning_it(payer: Client, town: Town) -> None:
    phone = PayingPhone(town.ctx, town.league)

    answer = payer.post("/wallet/pay/read", data={"text": phone.pay_code()})

    assert "A payer’s code" in unescape(answer.text)


def test_a_picture_is_read_without_javascript(payer: Client, town: Town) -> None:
    text, order_id = order_code(town)
    other, _ = order_code(town, 2)

    def send(data: bytes) -> Any:
        files = {"picture": ("code.png", data, "image/png")}
        return payer.post("/wallet/pay/picture", files=files, follow_redirects=False)

    assert send(picture(text)).headers["location"] == f"/wallet/pay/order/{order_id}"
    both = send(picture(text, other))
    assert both.status_code == 200 and both.text.count('action="/wallet/pay/read" class="choice"') == 2
    blank = io.BytesIO()
    Image.new("L", (300, 300), 255).save(blank, "PNG")
    assert "No code was found" in send(blank.getvalue()).text
    assert "cannot be read" in send(b"not a picture").text
    assert "cannot be read" in send(b"").text
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert "cannot be read" in send(bomb.getvalue()).text
    answers = [send(b"").status_code for _ in range(20)]
    assert answers[-1] == 429, "reading pictures costs a processor, so it has a rate"


def test_the_camera_page_alone_may_compile_webassembly(payer: Client) -> None:
    scan = payer.get("/wallet/pay").headers["content-security-policy"]
    code = payer.get("/wallet/pay/code").headers["content-security-policy"]

    assert "'wasm-unsafe-eval'" in scan and "'unsafe-eval'" not in scan and "unsafe-inline" not in scan
    assert "wasm-unsafe-eval" not in code


def test_anothers_payment_is_not_there(payer: Client, town: Town) -> None:
    sale = merchants.pay_order(town.ctx, town.order().order_id, town.asker("Gao Lan")).sale

    for path in ("", "/state"):
        assert payer.get(f"/wallet/pay/done/{sale.payment_id}{path}").status_code == 404
    assert payer.post(f"/wallet/pay/done/{sale.payment_id}/cancel").status_code == 404


def test_nobody_who_is_signed_out_pays(client: Client, town: Town) -> None:
    _, order_id = order_code(town)

    assert client.get("/wallet/pay", follow_redirects=False).headers["location"] == "/wallet/"
    for path, data in [
        (f"/wallet/pay/order/{order_id}", {}),
        (f"/wallet/pay/shop/{SHOP}", {"form_id": str(SHOP), "amount": "1"}),
        ("/wallet/pay/read", {"text": "x"}),
    ]:
        assert client.post(path, data=data).status_code == 401
    with town.ctx.tx() as tx:
        assert merchants.list_sales(town.ctx, tx, SHOP) == []
