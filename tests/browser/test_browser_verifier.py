"""The verifier in JavaScript, in a real browser: it passes the kit there, and the gate's screen checks with it."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.conftest import Served, show_to_gate, shown_code, sign_in
from hansa import codes, trust
from hansa.gate import conformance
from hansa.gate.conformance.bench import CELL, NOW, SCOPE, Bench
from hansa.gate.conformance.drafts import text_of
from web.little_league import WAY_IN

pytestmark = pytest.mark.browser

ANSWER = """async asked => {
  const { makeVerifier } = await import('/static/js/kit.js');
  const answer = makeVerifier();
  const reasons = [];
  for (const question of asked) reasons.push((await answer(question)).reason);
  return reasons;
}"""

MAKE_CODE = """async ({jwk, token, ...ride}) => {
  const bytes = hex => Uint8Array.from(hex.match(/../g), pair => parseInt(pair, 16));
  const { makeCode } = await import('/static/js/ride-code.js');
  const key = await crypto.subtle.importKey('jwk', jwk, {name: 'ECDSA', namedCurve: 'P-256'}, false, ['sign']);
  return makeCode(key, bytes(token), {...ride, cell: bytes(ride.cell)});
}"""


@pytest.fixture
def page(served: Served, desk: BrowserContext) -> Page:
    page = desk.new_page()
    page.goto(served.url)
    return page


def test_it_passes_the_whole_kit(page: Page) -> None:
    asked = conformance.questions()

    reasons: list[str] = []
    for start in range(0, len(asked), 2000):  # each part begins with nothing remembered but its own gates
        part = asked[start : start + 2000]
        if start:
            part = [asked[gate_before(asked, start)], *part]
        told = page.evaluate(ANSWER, [{"id": number, **question.ask} for number, question in enumerate(part)])
        reasons += told[1:] if start else told

    wrong = [
        (question.case, reason)
        for question, reason in zip(asked, reasons, strict=True)
        if reason != question.expect
    ]
    assert wrong == []


def gate_before(asked: list[conformance.Question], place: int) -> int:
    return max(number for number in range(place) if asked[number].ask["do"] == "gate")


@pytest.fixture
def gate(served: Served, desk: BrowserContext) -> Page:
    """A gate's screen that has the league's lists."""
    with served.ctx.tx() as tx:
        root = trust.KeyFolder(served.home / "keys").league_root()
        trust.publish_trust_list(tx, root, at=served.ctx.clock.now())
    gate = desk.new_page()
    with gate.expect_response("**/v1/trust-list"):
        gate.goto(f"{served.url}/gate/{WAY_IN}")
    return gate


def test_a_browser_makes_codes_for_companions_and_digits(page: Page) -> None:
    bench = Bench(5)
    phone = bench.phone(scope=codes.Scope(SCOPE.rider_class, SCOPE.products, SCOPE.modes, 8, companions=3))
    numbers = phone.key.private_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url(numbers.public_numbers.x),
        "y": base64url(numbers.public_numbers.y),
        "d": base64url(numbers.private_value),
    }
    rides: list[dict[str, Any]] = [
        {"counter": 1},
        {"counter": 300, "companion": 3},
        {"counter": 2, "challenge": 0},
        {"counter": 65535, "companion": 1, "challenge": 9999},
    ]
    for ride in rides:
        asked = {
            "jwk": jwk,
            "token": phone.token.data.hex(),
            "madeAt": int(NOW.timestamp()),
            "cell": CELL.hex(),
        }
        text = page.evaluate(MAKE_CODE, asked | ride)

        read = codes.verify_code(
            text,
            bench.trust_list,
            now=NOW,
            product="metro",
            denied=lambda _: False,
            challenge=ride.get("challenge"),
            place=CELL,
        )
        assert (read.counter, read.companion, read.cell) == (ride["counter"], ride.get("companion", 0), CELL)
        assert text[: -64 * 3 // 2 - 3] == text_of(phone.code(NOW, cell=CELL, **ride))[: -64 * 3 // 2 - 3]


def base64url(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def test_the_gates_screen_finds_what_its_gate_finds(
    served: Served, phone: BrowserContext, gate: Page
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    found = gate.locator("[data-reason]")
    code = shown_code(wallet)

    assert "Go in" in show_to_gate(gate, code)
    expect(found).to_have_attribute("data-found", "ok")
    for text, reason in (("HR2:ABC", "unknown_suite"), ("nonsense", "malformed"), (code[:-3], "malformed")):
        show_to_gate(gate, text)
        expect(found).to_have_attribute("data-found", reason)
        expect(found).to_have_text(reason)
    show_to_gate(gate, code)
    expect(found).to_have_text("replay")


def test_a_screen_that_cannot_reach_its_gate_opens_for_nobody_and_says_what_it_knows(
    served: Served, phone: BrowserContext, gate: Page
) -> None:
    wallet = phone.new_page()
    sign_in(wallet, served.url, "Gao Lan")
    show_to_gate(gate, "nonsense")
    expect(gate.locator("[data-reason]")).to_have_attribute("data-found", "malformed")
    code = shown_code(wallet)
    served.stop()

    for text, told in ((code, "The code itself is good."), (code[:-3], "The code itself is refused, too.")):
        gate.get_by_label("Paste a code").fill(text)
        gate.get_by_role("button", name="Show it to the gate").click()
        expect(gate.locator("[data-words]")).to_contain_text(told)
        assert gate.locator("[data-result]").get_attribute("data-state") == "refused"
