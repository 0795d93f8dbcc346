"""The interface over HTTP: each bad input gets its clear problem, and nothing changes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import codes, gate, trust
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context
from web.little_league import BUS, LittleLeague, Phone

Client = TestClient[Any]


@pytest.fixture
def key(ctx: Context, league: LittleLeague) -> dict[str, str]:
    """How Toronto's operator signs in."""
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["taps:write"], at=ctx.clock.now())
    return {"authorization": f"Bearer {secret}"}


def tap_of(ctx: Context, league: LittleLeague) -> gate.Tap:
    """A tap as Toronto's gate makes it."""
    with ctx.tx() as tx:
        trust_list = trust.current_trust_list(tx)
    device = gate.Gate(
        gate.GateIdentity(BUS, "toronto-ttc", None, "board", "bus", bytes(3)),
        trust_list,
        tokens=codes.TokenCache(),
    )
    tap = device.decide(Phone(ctx, league, "Gao Lan").show(), ctx.clock.now()).tap
    assert tap is not None
    return tap


def taps_kept(ctx: Context) -> int:
    with ctx.tx() as tx:
        row = tx.execute("select count(*) from rides.every_tap").fetchone()
    assert row is not None
    return row[0]


def test_a_batch_sent_twice_is_kept_once(
    ctx: Context, stranger: Client, league: LittleLeague, key: dict[str, str]
) -> None:
    body = {"taps": [tap_of(ctx, league).json()]}

    first = stranger.post("/v1/taps", json=body, headers=key).json()
    second = stranger.post("/v1/taps", json=body, headers=key).json()

    assert (first["recorded"], first["duplicates"]) == (1, 0)
    assert (second["recorded"], second["duplicates"]) == (0, 1)
    assert taps_kept(ctx) == 1


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("unknown gate", "rides.unknown_gate"),
        ("another operator's gate", "rides.unknown_gate"),
        ("unknown token", "rides.unknown_token"),
        ("tap from the future", "rides.tap_from_future"),
        ("an id of its own", "rides.tap_conflict"),
    ],
)
def test_a_tap_that_may_not_be_kept_says_why(
    ctx: Context, stranger: Client, league: LittleLeague, key: dict[str, str], what: str, code: str
) -> None:
    tap = tap_of(ctx, league)
    if what == "unknown gate":
        tap = replace(tap, gate_id="nowhere")
    elif what == "another operator's gate":
        tap = replace(tap, gate_id="hangzhou-metro.xianghu.in")
    elif what == "unknown token":
        tap = replace(tap, cti=bytes(8))
    elif what == "tap from the future":
        tap = replace(tap, tapped_at=tap.tapped_at + timedelta(hours=1))
    if what != "an id of its own":
        tap = replace(tap, tap_id=fact_id(tap.tapped_at, tap.gate_id, tap.sequence))
    else:
        tap = replace(tap, tap_id=fact_id(None, "made up"))

    receipt = stranger.post("/v1/taps", json={"taps": [tap.json()]}, headers=key).json()

    assert receipt["recorded"] == 0
    assert [one["code"] for one in receipt["refused"]] == [code]
    assert taps_kept(ctx) == 0


def test_taps_need_a_key_that_may_write_them(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    body = {"taps": [tap_of(ctx, league).json()]}
    with ctx.tx() as tx:
        weak = trust.create_api_key(tx, "toronto-ttc", ["ledger:read"], at=ctx.clock.now())

    nobody = stranger.post("/v1/taps", json=body)
    somebody = stranger.post("/v1/taps", json=body, headers={"authorization": f"Bearer {weak}"})

    assert (nobody.status_code, nobody.json()["code"]) == (401, "trust.not_signed_in")
    assert (somebody.status_code, somebody.json()["code"]) == (403, "trust.not_allowed")
    assert taps_kept(ctx) == 0


def test_a_body_too_large_is_refused_whole(
    ctx: Context, stranger: Client, league: LittleLeague, key: dict[str, str]
) -> None:
    body = b'{"taps": [' + b" " * (9 * 1024 * 1024) + b"]}"

    answer = stranger.post("/v1/taps", content=body, headers={**key, "content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "web.too_large")
    assert taps_kept(ctx) == 0


def test_a_full_batch_is_not_too_large(
    ctx: Context, stranger: Client, league: LittleLeague, key: dict[str, str]
) -> None:
    tap = tap_of(ctx, league).json()

    answer = stranger.post("/v1/taps", json={"taps": [tap] * 5000}, headers=key)

    assert answer.status_code == 200, answer.text
    assert answer.json()["recorded"] + answer.json()["duplicates"] == 5000


def test_a_wallet_of_another_currency_is_refused(ctx: Context, client: Client, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)})

    answer = client.post(
        "/wallet/top-up",
        data={
            "top_up_id": str(fact_id(None, "wrong")),
            "amount": "2000",
            "currency": "CAD",
            "asked_at": ctx.clock.now().isoformat(),
        },
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "wallet.wrong_currency")


def test_a_day_before_a_closed_one_stays_as_it_is(ctx: Context, client: Client, league: LittleLeague) -> None:
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    early = client.post("/v1/clearing/days/2026-11-17/close")
    assert (early.status_code, early.json()["code"]) == (409, "clearing.day_not_over")
    clock.at += timedelta(days=3)
    first = client.post("/v1/clearing/days/2026-11-18/close").json()

    late = client.post("/v1/clearing/days/2026-11-17/close")
    again = client.post("/v1/clearing/days/2026-11-18/close").json()

    assert (late.status_code, late.json()["code"]) == (409, "clearing.day_closed")
    assert again == first
    assert len(client.get("/v1/clearing/days").json()["days"]) == 1


def test_an_unknown_issuer_gets_no_key_onto_the_list(ctx: Context, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        before = trust.current_trust_list(tx)
        with pytest.raises(trust.UnknownIssuer):
            trust.add_issuer_key(
                tx,
                "nobody-card",
                bytes(32),
                not_before=ctx.clock.now(),
                not_after=ctx.clock.now() + timedelta(days=1),
            )

        assert trust.current_trust_list(tx) == before
