"""The phone's JavaScript writes the same ride code as Python does, to the byte."""

import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from random import Random
from typing import Any

import cbor2
import pytest
from playwright.sync_api import BrowserContext, Page

from browser.conftest import Served
from hansa import codes
from hansa.codes.base45 import base45_decode, base45_encode

pytestmark = pytest.mark.browser

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

MAKE_CODE = """async ({jwk, token, madeAt, counter, cell}) => {
  const bytes = hex => Uint8Array.from(hex.match(/../g), pair => parseInt(pair, 16));
  const { makeCode } = await import('/static/js/ride-code.js');
  const key = await crypto.subtle.importKey('jwk', jwk, {name: 'ECDSA', namedCurve: 'P-256'}, false, ['sign']);
  return makeCode(key, bytes(token), {madeAt, counter, cell: bytes(cell)});
}"""


@pytest.fixture
def page(served: Served, desk: BrowserContext) -> Page:
    page = desk.new_page()
    page.goto(served.url)
    return page


def vectors() -> dict[str, Any]:
    return json.loads((files("hansa.codes") / "vectors.json").read_text())


def trust_list(made: dict[str, Any]) -> codes.TrustList:
    now = datetime.fromtimestamp(made["codes"][0]["made_at"], UTC)
    key = codes.TrustedKey(
        kid=bytes.fromhex(made["token_hex"])[7:11],
        issuer_id="issuer",
        public_key=bytes.fromhex(made["issuer_public_hex"]),
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=400),
        products=("metro", "bus", "tram"),
        status="active",
    )
    return codes.TrustList(1, now, now + timedelta(days=400), (key,))


def test_a_code_made_in_the_browser_is_the_examples_code_but_for_its_signature(page: Page) -> None:
    made = vectors()
    for example in made["codes"]:
        text = page.evaluate(
            MAKE_CODE,
            {
                "jwk": made["device_private_jwk"],
                "token": made["token_hex"],
                "madeAt": example["made_at"],
                "counter": example["counter"],
                "cell": example["cell_hex"],
            },
        )

        data = base45_decode(text.removeprefix("HR1:"))
        expected = base45_decode(example["text"].removeprefix("HR1:"))
        assert data[:-64] == expected[:-64]
        verified = codes.verify_code(
            text,
            trust_list(made),
            now=datetime.fromtimestamp(example["made_at"], UTC),
            product="metro",
            denied=lambda _: False,
        )
        assert verified.counter == example["counter"]
        assert int.from_bytes(data[-32:], "big") <= ORDER // 2


def test_a_hundred_signatures_are_all_low(page: Page) -> None:
    made = vectors()

    texts = page.evaluate(
        f"""async (values) => {{
          const make = {MAKE_CODE};
          const texts = [];
          for (let i = 1; i <= 100; i += 1) texts.push(await make({{...values, counter: i}}));
          return texts;
        }}""",
        {
            "jwk": made["device_private_jwk"],
            "token": made["token_hex"],
            "madeAt": made["codes"][0]["made_at"],
            "cell": "000000",
        },
    )

    for text in texts:
        assert int.from_bytes(base45_decode(text.removeprefix("HR1:"))[-32:], "big") <= ORDER // 2


@pytest.mark.parametrize(
    ("s", "low"), [(1, 1), (ORDER // 2, ORDER // 2), (ORDER // 2 + 1, ORDER // 2), (ORDER - 1, 1)]
)
def test_the_lower_twin_is_chosen_at_the_very_edge(page: Page, s: int, low: int) -> None:
    signature = bytes(range(32)) + s.to_bytes(32, "big")

    chosen = page.evaluate(
        "async bytes => [...(await import('/static/js/cose.js')).lowS(Uint8Array.from(bytes))]",
        list(signature),
    )

    assert bytes(chosen) == signature[:32] + low.to_bytes(32, "big")


def test_base45_and_cbor_agree_with_python(page: Page) -> None:
    dice = Random(45)
    samples = [dice.randbytes(length) for length in (*range(70), 239, 240, 1000)]

    texts = page.evaluate(
        """async lists => { const { toBase45 } = await import('/static/js/base45.js');
           return lists.map(bytes => toBase45(Uint8Array.from(bytes))) }""",
        [list(sample) for sample in samples],
    )
    assert texts == [base45_encode(sample) for sample in samples]

    numbers = [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, -1, -24, -25, -257]
    encoded = page.evaluate(
        """async numbers => { const { encode } = await import('/static/js/cbor.js');
           return numbers.map(number => [...encode(number)]) }""",
        numbers,
    )
    assert [bytes(one) for one in encoded] == [cbor2.dumps(number, canonical=True) for number in numbers]


def test_the_picture_reads_back_as_the_code(page: Page, served: Served) -> None:
    """What the encoder draws, the gate screen's own reader reads."""
    text = vectors()["codes"][0]["text"]

    read = page.evaluate(
        """async text => {
          const { encodeQR } = await import('/vendor/qr/index.js');
          const { BarcodeDetector } = await import('/vendor/qr/decode.js');
          const rows = encodeQR(text, 'raw', {ecc: 'low', encoding: 'alphanumeric', border: 4});
          const canvas = document.createElement('canvas');
          canvas.width = canvas.height = rows.length * 6;
          const pen = canvas.getContext('2d');
          pen.fillStyle = '#fff';
          pen.fillRect(0, 0, canvas.width, canvas.height);
          pen.fillStyle = '#06202f';
          rows.forEach((row, y) => row.forEach((dark, x) => dark && pen.fillRect(x * 6, y * 6, 6, 6)));
          const [found] = await new BarcodeDetector({formats: ['qr_code']}).detect(canvas);
          return [found.rawValue, rows.length];
        }""",
        text,
    )

    assert read[0] == text
    assert read[1] <= 57 + 8  # version 10 at most
