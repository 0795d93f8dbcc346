"""The gate screen: it opens, refuses with a reason, hands in, and goes on after a restart."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import codes, gate, rides, trust
from hansa.apps.web.gatehouse import GateHouse
from hansa.kernel import FixedClock
from hansa.store import Context
from web.little_league import BUS, WAY_IN, WAY_OUT, LittleLeague, Phone

Client = TestClient[Any]


def taps_kept(ctx: Context) -> int:
    with ctx.tx() as tx:
        row = tx.execute("select count(*) from rides.every_tap").fetchone()
    assert row is not None
    return row[0]


def test_a_fresh_code_opens_the_gate(ctx: Context, client: Client, league: LittleLeague) -> None:
    answer = client.post(f"/gate/{WAY_IN}/read", json={"text": Phone(ctx, league, "Gao Lan").show()}).json()

    assert (answer["accepted"], answer["reason"], answer["title"]) == (True, "ok", "Go in")
    assert answer["words"] == "Xianghu"
    assert taps_kept(ctx) == 1


@pytest.mark.parametrize(
    ("made_before_s", "text", "reason"),
    [
        (0, "not a code", "malformed"),
        (0, "HR1:", "malformed"),
        (0, "", "malformed"),
        (60, None, "clock_skew"),
        (-60, None, "clock_skew"),
    ],
)
def test_a_refused_code_names_its_reason_and_leaves_no_tap(
    ctx: Context, client: Client, league: LittleLeague, made_before_s: int, text: str | None, reason: str
) -> None:
    phone = Phone(ctx, league, "Gao Lan")
    shown = phone.show(at=ctx.clock.now() - timedelta(seconds=made_before_s)) if text is None else text

    answer = client.post(f"/gate/{WAY_IN}/read", json={"text": shown}).json()

    assert (answer["accepted"], answer["reason"]) == (False, reason)
    assert answer["words"].endswith(".")
    assert taps_kept(ctx) == 0


def test_a_code_shown_twice_opens_once(ctx: Context, client: Client, league: LittleLeague) -> None:
    code = Phone(ctx, league, "Gao Lan").show()

    answers = [client.post(f"/gate/{WAY_IN}/read", json={"text": code}).json() for _ in range(2)]

    assert [answer["reason"] for answer in answers] == ["ok", "replay"]
    assert taps_kept(ctx) == 1


def test_a_revoked_token_opens_nothing(ctx: Context, client: Client, league: LittleLeague) -> None:
    phone = Phone(ctx, league, "Gao Lan")
    assert client.post(f"/gate/{WAY_IN}/read", json={"text": phone.show()}).json()["accepted"]

    with ctx.tx() as tx:
        trust.revoke_token(tx, phone.cti, ctx.clock.now())

    assert client.post(f"/gate/{WAY_IN}/read", json={"text": phone.show()}).json()["reason"] == "revoked"


def companion_code(phone: Phone, companion: int) -> str:
    """The next code of who rides along on this phone."""
    phone.counter += 1
    return codes.make_code(
        phone.key,
        phone.token,
        made_at=phone.ctx.clock.now(),
        counter=phone.counter,
        cell=bytes(3),
        companion=companion,
    )


def test_a_group_goes_in_one_by_one_and_the_screen_says_who(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    phone = Phone(ctx, league, "Gao Lan", companions=2)
    shown = [phone.show(), companion_code(phone, 1), companion_code(phone, 2), companion_code(phone, 3)]

    answers = [client.post(f"/gate/{WAY_IN}/read", json={"text": text}).json() for text in shown]

    assert [(one["reason"], one["companion"], one["words"]) for one in answers[:3]] == [
        ("ok", 0, "Xianghu"),
        ("ok", 1, "Xianghu, companion 1"),
        ("ok", 2, "Xianghu, companion 2"),
    ]
    assert answers[3]["reason"] == "companion_not_allowed"
    with ctx.tx() as tx:
        kept = tx.execute("select companion from rides.every_tap order by sequence").fetchall()
    assert kept == [(0,), (1,), (2,)]


def test_codes_that_somebody_signed_and_a_gate_refused_are_told_whole(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    phone = Phone(ctx, league, "Gao Lan", companions=1)
    code = companion_code(phone, 1)

    for text in (code, code, "HR1:NONSENSE"):
        client.post(f"/gate/{WAY_IN}/read", json={"text": text})

    with ctx.tx() as tx:
        told = tx.execute(
            "select gate_id, reason, cti, companion, counter from rides.refused_codes"
        ).fetchall()
    assert told == [(WAY_IN, "replay", phone.cti, 1, phone.counter)]


def test_the_page_fetches_lists_only_once_there_are_some(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    before = client.get(f"/gate/{WAY_IN}").text
    root = league.keys.league_root()
    with ctx.tx() as tx:
        trust.publish_trust_list(tx, root, at=ctx.clock.now())

    after = client.get(f"/gate/{WAY_IN}").text

    assert 'data-root=""' in before
    assert f'data-root="{root.public_key().public_bytes_raw().hex()}"' in after


def test_the_screen_works_by_form_alone(ctx: Context, client: Client, league: LittleLeague) -> None:
    code = Phone(ctx, league, "Gao Lan").show()

    first = client.post(f"/gate/{WAY_IN}/show", data={"text": code}).text
    second = client.post(f"/gate/{WAY_IN}/show", data={"text": code}).text

    assert 'data-state="accepted"' in first and "Go in" in first
    assert 'data-state="refused"' in second and "used here already" in second
    assert taps_kept(ctx) == 1


def test_refusals_reach_the_console(ctx: Context, client: Client, league: LittleLeague) -> None:
    for _ in range(3):
        client.post(f"/gate/{BUS}/read", json={"text": "HR1:NONSENSE"})

    with ctx.tx() as tx:
        flows = {one.city_id: one for one in rides.flow(tx, ctx.clock.now().date()).cities}
    assert flows["toronto"].refusals == {"malformed": 3}


def test_an_unknown_gate_is_a_clear_problem(client: Client, league: LittleLeague) -> None:
    answer = client.post("/gate/nowhere/read", json={"text": "HR1:"})

    assert (answer.status_code, answer.json()["code"]) == (404, "trust.unknown_gate")


def test_gates_are_found_by_station_and_line(client: Client, league: LittleLeague) -> None:
    assert "Hangzhou" in client.get("/gate/").text
    assert WAY_IN in client.get("/gate/?city=hangzhou&q=xiang").text
    assert WAY_IN not in client.get("/gate/?city=hangzhou&q=binkang").text
    assert BUS in client.get("/gate/?city=toronto&q=dufferin").text


def test_a_restarted_application_remembers_what_its_gates_let_in(
    ctx: Context, league: LittleLeague, home: Path
) -> None:
    phone = Phone(ctx, league, "Gao Lan")
    first, second = phone.show(), phone.show()
    before = GateHouse(home / "gates", demo=True)
    assert before.read(ctx, WAY_IN, first).decision.accepted

    after = GateHouse(home / "gates", demo=True)

    assert after.read(ctx, WAY_IN, first).decision.reason == "replay"
    assert after.read(ctx, WAY_IN, second).decision.accepted
    assert after.hand_in(ctx, WAY_IN).recorded == 2


def test_a_screen_goes_on_from_what_another_device_handed_in(
    ctx: Context, league: LittleLeague, home: Path
) -> None:
    phone = Phone(ctx, league, "Gao Lan")
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    with ctx.tx() as tx:
        record, trust_list = trust.get_gate(tx, WAY_IN), trust.current_trust_list(tx)
    device = gate.Gate(
        gate.GateIdentity(WAY_IN, record.operator_id, record.stop_id, "entry", "metro", record.cell),
        trust_list,
    )
    for _ in range(3):
        assert device.decide(phone.show(), clock.now()).accepted
        clock.at += timedelta(minutes=40)
    rides.record_taps(ctx, WAY_IN, [rides.Tap.from_gate(tap) for tap in device.pending()])

    screen = GateHouse(home / "gates", demo=True)
    tap = screen.read(ctx, WAY_IN, phone.show()).decision.tap

    assert tap is not None and tap.sequence == 4
    assert screen.hand_in(ctx, WAY_IN).refused == ()


def test_a_newcomer_opens_a_gate_with_one_click(client: Client, league: LittleLeague) -> None:
    page = client.get("/gate/").text

    at_once = page[page.index('id="at-once"') : page.index('id="found"')]
    assert re.findall(r'href="/gate/([^"]+)"><strong>([^<]+)</strong> <span>([^<]+)<', at_once) == [
        (WAY_OUT, "Binkang Lu", "way out"),
        (WAY_IN, "Xianghu", "way in"),
    ]
    assert "Bus 29 Dufferin" in client.get("/gate/?city=toronto").text


def test_the_first_gates_a_rider_sees_are_at_home(client: Client, league: LittleLeague) -> None:
    account = league.riders["Emily Tremblay"]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)})

    assert "All gates in Toronto" in " ".join(client.get("/gate/").text.split())
