"""Devices over HTTP and in the console: operators see their boxes, set them, let them in and shut them out."""

from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import audit, trust
from hansa.apps.web.device_pages import ago, offset_text, read_settings_text, settings_text
from hansa.kernel import InvalidInput
from hansa.store import Context
from hansa.trust import NewDevice, StateReport, Telemetry
from web.little_league import BUS, WAY_IN, LittleLeague

Client = TestClient[Any]


def key_of(ctx: Context, member: str, *scopes: str, gate_id: str | None = None) -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, scopes, at=ctx.clock.now(), gate_id=gate_id)
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def boxes(ctx: Context, league: LittleLeague) -> Context:
    """Two boxes: one at the metro's gate, enrolled and with a past of an hour; one on a bus, invited."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.add_devices(
            tx,
            [
                NewDevice("xianghu-in", "gate", trust.MemberId("hangzhou-metro"), WAY_IN, roles=("taps",)),
                NewDevice("cab", "validator", trust.MemberId("toronto-ttc"), BUS, vehicle="TTC 8412"),
            ],
            now,
        )
        tx.execute("update trust.devices set status = 'active' where device_id = 'xianghu-in'")
        trust.record_states(tx, [StateReport("xianghu-in", True, "s", "2.1.0")], now - timedelta(hours=1))
        for minutes, offset in ((60, 100), (40, 900), (20, 2600), (0, 3100)):
            told = Telemetry(
                "xianghu-in",
                "s",
                clock_offset_ms=offset,
                trust_list=1,
                deny_list=0,
                sequence=500 - minutes,
                last_tap_at=now,
                pending=7,
                uptime_s=7_500,
                tally={"ok": 400 - minutes, "replay": 3},
            )
            trust.record_telemetry(tx, [told], now - timedelta(minutes=minutes))
        trust.check_devices(tx, now)
    return ctx


def test_the_list_shows_every_device_with_what_it_said_and_what_is_the_matter(
    client: Client, boxes: Context
) -> None:
    page = client.get("/console/devices")

    assert page.status_code == 200
    for words in ("xianghu-in", "cab", "TTC 8412", "+3.1 s", "2.1.0", "Clock is off", "Online", "Invited"):
        assert words in page.text, words
    live = client.get("/console/devices/live?q=cab")
    assert "TTC 8412" in live.text
    assert 'data-device="xianghu-in"' not in live.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=XIANGHU", {"xianghu-in"}),
        ("q=8412", {"cab"}),
        ("network=online", {"xianghu-in"}),
        ("network=offline", {"cab"}),
        ("network=alerts", {"xianghu-in"}),
        ("status=invited", {"cab"}),
        ("city=toronto", {"cab"}),
        ("city=toronto&network=online", set()),
        ("after=cab", {"xianghu-in"}),
        ("q=%25", set()),
    ],
)
def test_the_list_is_narrowed(client: Client, boxes: Context, query: str, found: set[str]) -> None:
    page = client.get(f"/console/devices?{query}")

    assert {one for one in ("cab", "xianghu-in") if f'data-device="{one}"' in page.text} == found


def test_a_device_that_misses_three_minutes_is_shown_as_silent(client: Client, boxes: Context) -> None:
    with boxes.tx() as tx:
        tx.execute("update trust.device_states set last_seen_at = last_seen_at - interval '4 minutes'")

    assert "Silent" in client.get("/console/devices").text


def test_a_devices_page_shows_its_day_its_settings_and_its_alerts(client: Client, boxes: Context) -> None:
    page = client.get("/console/devices/xianghu-in")

    for words in (
        "+3.1 s",
        "2 h 5 min",
        "number 500 is the last",
        "Clock is off",
        "off by +3.1 s",
        "hangzhou-metro",
    ):
        assert words in page.text, words
    assert client.get("/console/devices/nobody").status_code == 404
    assert "+3.1 s" in client.get("/console/devices/xianghu-in/live").text


def test_a_box_is_registered_and_its_code_is_shown_once_and_enrols(client: Client, boxes: Context) -> None:
    page = client.post(
        "/console/devices",
        data={"device_id": "xianghu-in-2", "gate_id": WAY_IN, "kind": "gate", "vehicle": ""},
    )

    assert page.status_code == 200
    code = page.text.partition('<span class="mono">')[2].partition("<")[0]
    assert len(code) == 35
    assert code not in client.get("/console/devices/xianghu-in-2").text
    with boxes.tx() as tx:
        assert trust.get_device(tx, "xianghu-in-2").status == "invited"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"device_id": "Big", "gate_id": WAY_IN}, "small letters"),
        ({"device_id": "hansa-desk", "gate_id": WAY_IN}, "do not begin"),
        ({"device_id": "fine", "gate_id": "nowhere"}, "nowhere"),
        ({"device_id": "cab", "gate_id": WAY_IN}, "already with other words"),
    ],
)
def test_a_box_that_cannot_be_registered_changes_nothing(
    client: Client, boxes: Context, form: dict[str, str], told: str
) -> None:
    page = client.post("/console/devices", data=form)

    assert page.status_code in (404, 409, 422)
    assert told in page.text
    with boxes.tx() as tx:
        assert trust.count_devices(tx).devices == 2


def test_settings_are_typed_a_line_each_and_faults_change_nothing(client: Client, boxes: Context) -> None:
    address = "/console/devices/xianghu-in/settings"
    good = (
        "language = zh\ndigits = true\nlanguages.toronto-card = fr\n\ndeny_poll_s = 20\nvendor_word = Grüße"
    )
    assert client.post(address, data={"values": good}, follow_redirects=False).status_code == 303

    for bad in (
        "language",
        "deny_poll_s = 0",
        "digits = perhaps",
        "a = 1\na = 2",
        "a = 1\na.b = 2",
        "Big = 1",
    ):
        page = client.post(address, data={"values": bad})
        assert page.status_code == 422, bad
        assert 'id="settings-fault"' in page.text

    with boxes.tx() as tx:
        history = trust.device_settings(tx, "xianghu-in")
    assert [(one.version, one.made_by) for one in history] == [(1, "demo:league")]
    assert history[0].values == {
        "language": "zh",
        "digits": True,
        "languages": {"toronto-card": "fr"},
        "deny_poll_s": 20,
        "vendor_word": "Grüße",
    }
    assert read_settings_text(settings_text(history[0].values)) == history[0].values


def test_a_box_is_shut_out_with_a_reason_and_let_back_with_a_code(client: Client, boxes: Context) -> None:
    address = "/console/devices/xianghu-in/status"
    for form in ({"status": "suspended"}, {"status": "retired", "reason": "  "}, {"status": "active"}):
        assert client.post(address, data=form).status_code == 422
    with boxes.tx() as tx:
        assert trust.get_device(tx, "xianghu-in").status == "active"
        assert trust.device_changes(tx, "xianghu-in") == []

    gone = client.post(address, data={"status": "suspended", "reason": "Stolen <b>"}, follow_redirects=False)
    shown = client.get("/console/devices/xianghu-in").text
    back = client.post(address, data={"status": "invited"})

    assert gone.status_code == 303
    assert "Stolen &lt;b&gt;" in shown
    assert "One-time code" in back.text
    with boxes.tx() as tx:
        assert trust.get_device(tx, "xianghu-in").status == "invited"
        changes = trust.device_changes(tx, "xianghu-in")
    assert [(one.status, one.made_by, one.reason) for one in changes] == [
        ("invited", "demo:league", ""),
        ("suspended", "demo:league", "Stolen <b>"),
    ]
    client.post(address, data={"status": "retired", "reason": "Scrapped"})
    assert client.post(address, data={"status": "invited"}).status_code == 409


def test_when_to_be_told_is_set_with_a_reason_and_closes_what_is_no_alert_any_more(
    client: Client, boxes: Context
) -> None:
    def rule() -> trust.DeviceRule:
        with boxes.tx() as tx:
            return next(one for one in trust.list_device_rules(tx) if one.rule == "clock")

    def open_now() -> set[str]:
        with boxes.tx() as tx:
            trust.check_devices(tx, boxes.clock.now())
            return {one.rule for one in trust.open_device_alerts(tx)}

    at, before = "/console/device-rules/clock", rule()
    assert "clock off by more than 2,000 ms" in client.get("/console/devices").text and "clock" in open_now()
    for wrong in ({"threshold": "-5"}, {"threshold": "9" * 11}, {"reason": " "}):
        refused = client.post(at, data={"threshold": "5000", "is_on": "yes", "reason": "old boxes"} | wrong)
        assert refused.status_code == 422 and 'role="alert"' in refused.text
    assert (
        client.post("/console/device-rules/none", data={"threshold": "5", "reason": "x"}).status_code == 422
    )
    assert rule() == before and "clock" in open_now()

    told = client.post(at, data={"threshold": "5000", "is_on": "yes", "reason": "old boxes"}).text

    assert "clock off by more than 5,000 ms" in told and "clock" not in open_now()
    client.post(at, data={"threshold": "1000", "reason": "nobody looks"})
    assert not rule().is_on and "clock" not in open_now()
    with boxes.tx() as tx:
        acts = [act.reason for act in audit.search(tx, action="device.set-rule")]
    assert acts == ["nobody looks", "old boxes"]


def test_the_console_of_devices_is_for_league_operators(
    client: Client, stranger: Client, boxes: Context
) -> None:
    member = key_of(boxes, "hangzhou-metro", "devices:read", "devices:write")
    for ask in (
        stranger.get("/console/devices"),
        stranger.get("/console/devices/cab"),
        stranger.get("/console/devices/live"),
        stranger.post("/console/devices/cab/status", data={"status": "retired", "reason": "why not"}),
        stranger.post("/console/devices/cab/settings", data={"values": "a = 1"}),
        stranger.post("/console/devices", data={"device_id": "x", "gate_id": BUS}),
        stranger.get("/console/devices", headers=member),
    ):
        assert ask.status_code in (401, 403)
    with boxes.tx() as tx:
        assert trust.get_device(tx, "cab").status == "invited"
        assert trust.device_settings(tx, "cab") == []


def test_a_member_sees_sets_and_shuts_out_its_own_boxes_and_no_others(
    stranger: Client, boxes: Context
) -> None:
    metro = key_of(boxes, "hangzhou-metro", "devices:read", "devices:write")
    reader = key_of(boxes, "hangzhou-metro", "devices:read")
    gate = key_of(boxes, "hangzhou-metro", "taps:write", "devices:read", gate_id=WAY_IN)

    listed = stranger.get("/v1/devices", headers=metro).json()
    assert [one["device_id"] for one in listed["devices"]] == ["xianghu-in"]
    assert stranger.get("/v1/devices?q=8412", headers=metro).json()["devices"] == []
    assert stranger.get("/v1/devices", headers=gate).status_code == 403
    for method, address, body in (
        ("get", "/v1/devices/cab", None),
        ("put", "/v1/devices/cab/settings", {"values": {"a": 1}}),
        ("post", "/v1/devices/cab/status", {"status": "suspended"}),
        ("post", "/v1/devices/cab/invite", None),
        ("post", "/v1/devices", {"device_id": "cab-2", "gate_id": BUS}),
    ):
        assert stranger.request(method, address, json=body, headers=metro).status_code == 404, address
        if method != "get":
            own = address.replace("cab-2", "x").replace("/cab", "/xianghu-in")
            assert stranger.request(method, own, json=body, headers=reader).status_code == 403

    added = stranger.post("/v1/devices", json={"device_id": "xianghu-in-2", "gate_id": WAY_IN}, headers=metro)
    invited = stranger.post("/v1/devices/xianghu-in-2/invite", headers=metro)
    gone = stranger.post(
        "/v1/devices/xianghu-in/status", json={"status": "suspended", "reason": "moved"}, headers=metro
    )

    assert (added.status_code, added.json()["member_id"]) == (200, "hangzhou-metro")
    assert len(invited.json()["code"]) == 35
    assert gone.json() == {"changed": True}
    with boxes.tx() as tx:
        assert trust.count_devices(tx).devices == 3
        assert trust.get_device(tx, "cab").status == "invited"
        assert trust.device_changes(tx, "xianghu-in")[0].reason == "moved"


def test_enrolment_without_a_broker_says_how_to_make_one(stranger: Client, boxes: Context) -> None:
    with boxes.tx() as tx:
        code = trust.invite_device(tx, "cab", boxes.clock.now())

    answer = stranger.post("/v1/devices/enrol", json={"code": code, "csr": "x"})

    assert (answer.status_code, answer.json()["code"]) == (404, "trust.no_broker")
    with boxes.tx() as tx:
        assert trust.get_device(tx, "cab").status == "invited"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s ago"), (90, "90 s ago"), (150, "2 min ago"), (7_300, "2 h ago"), (2e5, "2 d ago")],
)
def test_how_long_ago_is_told_in_the_largest_unit_that_fits(seconds: float, said: str) -> None:
    assert ago(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("ms", "said"), [(0, "+0 ms"), (-999, "−999 ms"), (1000, "+1.0 s"), (-90_000, "−90.0 s")]
)
def test_a_clocks_offset_has_a_sign_and_a_unit(ms: int, said: str) -> None:
    assert offset_text(ms) == said


def test_a_line_without_a_name_is_refused() -> None:
    for text in ("= 1", "a. = 1", ".b = 1"):
        with pytest.raises(InvalidInput):
            read_settings_text(text)
