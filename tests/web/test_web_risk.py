"""Risk over HTTP and in the console: cases are found, told and decided, by those whom they concern."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from hansa import risk, trust
from hansa.kernel import fact_id
from hansa.risk import Heard, Seen, Turned
from hansa.store import Context
from web.little_league import BUS, WAY_IN, WAY_OUT, LittleLeague

Client = TestClient[Any]
CTI, KID = "5a" * 8, "0b" * 4


def seen(
    ctx: Context, gate: trust.GateRecord, *, minutes_ago: float, counter: int, made_s: float = 2
) -> Seen:
    at = ctx.clock.now() - timedelta(minutes=minutes_ago)
    return Seen(
        tap_id=fact_id(at, gate.gate_id, counter),
        gate_id=gate.gate_id,
        operator_id=gate.operator_id,
        city_id=gate.city_id,
        station=gate.stop_id or gate.gate_id,
        action=gate.action,
        at=at,
        kid=KID,
        cti=CTI,
        companion=0,
        counter=counter,
        made_at=at - timedelta(seconds=made_s),
        list_version=1,
        received_at=at,
    )


@pytest.fixture
def case(ctx: Context, league: LittleLeague) -> risk.Case:
    """Gao Lan's phone in Hangzhou, its key in Toronto a few minutes later, and a picture of a code at the exit."""
    with ctx.tx() as tx:
        gates = trust.find_gates(tx, [WAY_IN, WAY_OUT, BUS])
    rider = league.riders["Gao Lan"].account_id
    first = seen(ctx, gates[WAY_IN], minutes_ago=30, counter=7)
    bus = seen(ctx, gates[BUS], minutes_ago=10, counter=3)
    picture = Turned(
        gate_id=WAY_OUT,
        operator_id=gates[WAY_OUT].operator_id,
        city_id="hangzhou",
        station=str(gates[WAY_OUT].stop_id),
        at=ctx.clock.now() - timedelta(minutes=5),
        reason="clock_skew",
        kid=KID,
        cti=CTI,
        companion=0,
        counter=7,
        made_at=first.made_at,
    )
    risk.Watcher(risk.LEAGUE_FEED, risk.LEAGUE_HANDS).hear(ctx, [Heard(rider, (first, bus), (picture,))])
    with ctx.tx() as tx:
        return risk.get_case(tx, risk.case_id_of("two_phones", CTI))


def key_of(ctx: Context, member: str, *scopes: str) -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, scopes, at=ctx.clock.now())
    return {"authorization": f"Bearer {secret}"}


def kept(ctx: Context, case: risk.Case) -> risk.Case:
    with ctx.tx() as tx:
        return risk.get_case(tx, case.case_id)


# -- the console --------------------------------------------------------------------------------------------


def test_the_list_counts_by_rule_and_leads_to_each_case(client: Client, case: risk.Case) -> None:
    told = client.get("/console/risk").text

    assert "One key in two phones" in told
    assert "Too far too fast" in told
    assert "Gao Lan" in told
    assert f'href="/console/risk/{case.case_id}"' in told


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("q=gao", True),
        ("q=nobody", False),
        (f"q={CTI[:6]}", True),
        ("rule=two_phones&status=open&severity=high", True),
        ("rule=picture", False),
        ("status=dismissed", False),
        ("severity=low", False),
        ("day=2026-11-17", True),
        ("day=2026-11-16", False),
        ("rule=%27%3Bdrop", False),
        ("q=%25", False),
    ],
)
def test_cases_are_looked_for(client: Client, case: risk.Case, query: str, there: bool) -> None:
    answer = client.get(f"/console/risk?{query}")

    assert answer.status_code == 200
    assert (f'data-case="{case.case_id}"' in answer.text) == there


def test_a_case_tells_its_story_with_its_evidence(client: Client, case: risk.Case) -> None:
    told = client.get(f"/console/risk/{case.case_id}").text

    assert "The counter of one phone ran twice" in told
    assert "was made 1,200 s before the one with counter" in told
    assert WAY_IN in told and BUS in told
    assert "Toronto" in told and "Hangzhou" in told
    assert told.count('<circle class="seen"') >= 2
    assert f'/console/riders/{case.account_id}"' in told
    assert "Too far too fast" in told  # another case of this rider


def test_a_refused_code_is_told_as_refused(ctx: Context, client: Client, case: risk.Case) -> None:
    told = client.get(f"/console/risk/{risk.case_id_of('picture', CTI)}").text

    assert "refused: clock skew" in told
    assert "1,502 s old" in told
    assert 'class="refused"' in told


def test_a_decision_by_the_form_is_kept_with_its_reason(
    ctx: Context, client: Client, case: risk.Case
) -> None:
    answer = client.post(
        f"/console/risk/{case.case_id}/decide",
        data={"verdict": "dismissed", "reason": "Two phones, <b>one</b> family"},
        follow_redirects=False,
    )

    decided = kept(ctx, case)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/risk/{case.case_id}")
    assert (decided.status, decided.reason, decided.decided_by) == (
        "dismissed",
        "Two phones, <b>one</b> family",
        "demo:league",
    )
    page = client.get(f"/console/risk/{case.case_id}").text
    assert "Two phones, &lt;b&gt;one&lt;/b&gt; family" in page
    assert "100% of 1" in client.get("/console/risk").text


@pytest.mark.parametrize(
    "form", [{"verdict": "dismissed", "reason": " "}, {"verdict": "maybe", "reason": "why not"}]
)
def test_a_form_without_a_reason_or_a_verdict_changes_nothing(
    ctx: Context, client: Client, case: risk.Case, form: dict[str, str]
) -> None:
    answer = client.post(f"/console/risk/{case.case_id}/decide", data=form)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert form["reason"] in answer.text
    assert kept(ctx, case) == case


def test_the_rules_are_shown_with_their_figures(client: Client, case: risk.Case) -> None:
    told = client.get("/console/risk/rules").text

    assert "Version 1" in told
    assert "far_m_per_s = 290" in told


@pytest.mark.parametrize("path", ["/console/risk", "/console/risk/rules", f"/console/risk/{uuid4()}"])
def test_strangers_see_none_of_it(stranger: Client, league: LittleLeague, path: str) -> None:
    assert stranger.get(path).status_code in (401, 403)


def test_another_sites_form_decides_nothing(ctx: Context, client: Client, case: risk.Case) -> None:
    answer = client.post(
        f"/console/risk/{case.case_id}/decide",
        data={"verdict": "dismissed", "reason": "Trust me"},
        headers={"sec-fetch-site": "cross-site"},
    )

    assert answer.status_code == 403
    assert kept(ctx, case) == case


# -- the interface ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "sees"),
    [("league", True), ("toronto-ttc", True), ("hangzhou-metro", True), ("toronto-card", False)],
)
def test_members_read_cases_of_their_own_riders_and_gates(
    ctx: Context, stranger: Client, league: LittleLeague, case: risk.Case, member: str, sees: bool
) -> None:
    headers = key_of(ctx, member, "risk:read")
    issuer = league.riders["Gao Lan"].issuer_id
    sees = sees or member == issuer

    listed = stranger.get("/v1/risk/cases", headers=headers, params={"rule": "two_phones"}).json()["cases"]
    answer = stranger.get(f"/v1/risk/cases/{case.case_id}", headers=headers)

    assert [one["case_id"] for one in listed] == ([str(case.case_id)] if sees else [])
    assert answer.status_code == (200 if sees else 404)
    if sees:
        assert answer.json()["figures"] == {"seconds_back": 1200, "counter": 3, "later_counter": 7}
        assert [tap["counter"] for tap in answer.json()["taps"]] == [7, 3]
    else:
        assert answer.json()["code"] == "risk.unknown_case"


def test_pages_of_cases_join_without_a_gap(ctx: Context, stranger: Client, case: risk.Case) -> None:
    headers = key_of(ctx, "league", "risk:read")
    whole = [one["case_id"] for one in stranger.get("/v1/risk/cases", headers=headers).json()["cases"]]

    found: list[str] = []
    after = ""
    while True:
        page = stranger.get("/v1/risk/cases", headers=headers, params={"limit": 1, "after": after}).json()
        found += [one["case_id"] for one in page["cases"]]
        after = page["next"]
        if after is None:
            break

    assert found == whole
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("scopes", "body", "status", "code"),
    [
        (("risk:read",), {"verdict": "dismissed", "reason": "fine"}, 403, "trust.not_allowed"),
        (("risk:write",), {"verdict": "dismissed", "reason": "x"}, 422, "web.does_not_fit"),
        (("risk:write",), {"verdict": "open", "reason": "fine"}, 422, "web.does_not_fit"),
        (("risk:write",), {"verdict": "dismissed"}, 422, "web.does_not_fit"),
    ],
)
def test_a_refused_decision_changes_nothing(
    ctx: Context,
    stranger: Client,
    case: risk.Case,
    scopes: tuple[str, ...],
    body: dict[str, str],
    status: int,
    code: str,
) -> None:
    headers = key_of(ctx, "toronto-ttc", *scopes)

    answer = stranger.post(f"/v1/risk/cases/{case.case_id}/decide", headers=headers, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert kept(ctx, case) == case


def test_deciding_twice_gives_the_first_decision_and_another_one_is_refused(
    ctx: Context, stranger: Client, case: risk.Case
) -> None:
    headers = key_of(ctx, "toronto-ttc", "risk:write")
    address = f"/v1/risk/cases/{case.case_id}/decide"

    first = stranger.post(address, headers=headers, json={"verdict": "confirmed", "reason": "On film"})
    again = stranger.post(address, headers=headers, json={"verdict": "confirmed", "reason": "Again"})
    other = stranger.post(address, headers=headers, json={"verdict": "dismissed", "reason": "No"})

    assert first.json()["reason"] == again.json()["reason"] == "On film"
    assert first.json()["decided_by"] == "toronto-ttc"
    assert (other.status_code, other.json()["code"]) == (422, "web.does_not_fit")
    other = stranger.post(address, headers=headers, json={"verdict": "dismissed", "reason": "Not so"})
    assert (other.status_code, other.json()["code"]) == (409, "risk.case_decided")
    assert kept(ctx, case).status == "confirmed"


def test_the_rules_are_read_over_http(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    told = stranger.get("/v1/risk/rules", headers=key_of(ctx, "league", "risk:read")).json()

    assert told["version"] == 0
    by_name = {rule["name"]: rule for rule in told["rules"]}
    assert by_name["too_far"]["values"]["far_m_per_s"] == 290
    assert by_name["two_phones"]["does"] == ["rotate", "step_up"]
