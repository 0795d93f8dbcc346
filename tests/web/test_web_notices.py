"""Pages of notices: by plain forms, in three languages; the stream that hands on what came; nobody sees another's."""

import asyncio
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, disputes, identity, trust, webhooks
from hansa.apps import book_notices
from hansa.apps.telling import TOPICS
from hansa.apps.web import notice_pages
from hansa.apps.web.notice_pages import STREAMS_OF_ONE, Hub, Listener, StreamsFull
from hansa.kernel import new_id
from hansa.store import Context
from notifications.hearing import hear_here, heard
from web.little_league import LittleLeague
from web.test_web_refunds import ridden

Client = TestClient[Any]


@pytest.fixture
def gao(client: Client, league: LittleLeague) -> Client:
    client.post("/wallet/sign-in", data={"account_id": str(league.riders["Gao Lan"].account_id)})
    return client


def tell(ctx: Context, league: LittleLeague, *facts: str, name: str = "Gao Lan") -> None:
    for fact in facts:
        one = webhooks.ForPerson(
            account_id=league.riders[name].account_id,
            kind="spending.limit_lowered",
            at=ctx.clock.now(),
            subject="",
            facts={"about": fact},
            fact=(fact,),
        )
        with ctx.tx() as tx:
            webhooks.tell(tx, one)
    hear_here(ctx)


def test_nothing_of_it_is_for_a_stranger(client: Client, league: LittleLeague) -> None:
    for path in ("", "/list", "/settings", "/stream"):
        answer = client.get(f"/wallet/notices{path}", headers={"accept": "application/json"})
        assert answer.status_code == 401, path
    for path in ("notices", "notification-settings"):
        assert client.get(f"/v1/me/{path}").status_code == 401


def test_notices_are_listed_read_and_opened_by_plain_forms(
    gao: Client, ctx: Context, league: LittleLeague
) -> None:
    tell(ctx, league, "¥1.00", "¥<2>")
    tell(ctx, league, "not mine", name="Qian Qing")

    page = gao.get("/wallet/notices").text
    assert "¥1.00" in page and "¥&lt;2&gt;" in page and "not mine" not in page
    assert page.count("is-unread") == 2 and "Today" in page

    opened = gao.post("/wallet/notices/1/open", follow_redirects=False)
    assert opened.headers["location"] == "/wallet/limits"
    assert gao.get("/wallet/notices?unread=1").text.count("is-unread") == 1
    gao.post("/wallet/notices/read", data={"up_to": "2"})
    assert "Nothing is unread." in gao.get("/wallet/notices?unread=1").text
    assert (
        gao.post("/wallet/notices/99/open", follow_redirects=False).headers["location"] == "/wallet/notices"
    )
    assert "今天" in gao.get("/wallet/notices?language=zh").text
    assert "Aujourd’hui" in gao.get("/wallet/notices?language=fr").text


def test_pages_of_the_list_lose_nothing(gao: Client, ctx: Context, league: LittleLeague) -> None:
    tell(ctx, league, *(f"¥{n}.00" for n in range(35)))

    first = gao.get("/wallet/notices").text
    assert "/wallet/notices?after=6" in first
    assert gao.get("/wallet/notices?after=6").text.count("is-unread") == 5


def test_settings_are_kept_by_a_form_and_what_is_fixed_stays_on(
    gao: Client, ctx: Context, league: LittleLeague
) -> None:
    page = gao.get("/wallet/notices/settings").text
    assert "always on" in page and "/wallet/me/contacts" in page
    assert (
        "… will take money from you: …" in page
        and "{" not in page.partition("<main")[2].partition("</main>")[0]
    )

    form = {"payment.paid/email": "1", "quiet_from": "22:30", "quiet_to": "07:00", "amounts": "1"}
    kept = gao.post("/wallet/notices/settings", data=form, follow_redirects=False)
    assert kept.headers["location"].endswith("?done=1")

    read = gao.get("/v1/me/notification-settings").json()
    by_kind = {one["kind"]: one for one in read["kinds"]}
    assert (read["quiet_from"], read["quiet_to"], read["amounts"]) == (22 * 60 + 30, 7 * 60, True)
    assert by_kind["payment.paid"]["email"] and not by_kind["payment.paid"]["app"]
    assert (
        by_kind["security.recovery_asked"]["phone"] and "phone" in by_kind["security.recovery_asked"]["fixed"]
    )

    refused = gao.post("/wallet/notices/settings", data={"quiet_from": "25:00"})
    assert refused.status_code == 422 and "Give one from 00:00 to 23:59" in refused.text
    assert gao.get("/v1/me/notification-settings").json() == read


def test_the_interface_lists_reads_and_refuses_what_cannot_be_turned_off(
    gao: Client, ctx: Context, league: LittleLeague
) -> None:
    tell(ctx, league, "¥1.00", "¥2.00", "¥3.00")

    page = gao.get("/v1/me/notices?limit=2").json()
    assert [one["number"] for one in page["notices"]] == [3, 2] and page["unread"] == 3 and page["next"] == 2
    assert page["notices"][0]["text"] == "A limit of yours was lowered to ¥3.00."
    assert [one["number"] for one in gao.get("/v1/me/notices?after=2").json()["notices"]] == [1]
    assert gao.post("/v1/me/notices/read", json={"numbers": [3]}).json() == {"unread": 2}
    assert gao.post("/v1/me/notices/read", json={"up_to": 2}).json() == {"unread": 0}

    before = gao.get("/v1/me/notification-settings").json()
    wishes = [{"kind": "security.signed_in", "channel": "email", "wanted": False}]
    refused = gao.put("/v1/me/notification-settings", json={"wishes": wishes, "amounts": True})
    assert refused.status_code == 422 and refused.json()["code"] == "hansa.invalid_input"
    assert gao.get("/v1/me/notification-settings").json() == before


def test_a_stream_hands_on_what_came_after_the_last_number_that_the_browser_has(
    gao: Client, ctx: Context, league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice_pages, "LASTS_S", 0.0)
    tell(ctx, league, "¥1.00", "¥2.00", "¥3.00")

    answer = gao.get("/wallet/notices/stream?after=1")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: ") and [
        line for line in answer.text.splitlines() if line.startswith("id: ")
    ] == ["id: 2", "id: 3"]
    again = gao.get("/wallet/notices/stream?after=1", headers={"last-event-id": "2"}).text
    assert "id: 3" in again and "id: 2" not in again
    assert "¥3.00" in again and "您" in gao.get("/wallet/notices/stream?after=2&language=zh").text


def test_streams_are_bounded_and_the_oldest_of_one_person_gives_way(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice_pages, "STREAMS_MAX", 6)

    async def many() -> None:
        hub = Hub(ctx)
        own = [Listener((0, identity.AccountId(ONE)), 0) for _ in range(STREAMS_OF_ONE + 1)]
        for one in own:
            hub.join(one)
        assert own[0].over and not own[1].over
        hub.join(Listener((0, new_id()), 0))
        hub.join(Listener((0, new_id()), 0))
        with pytest.raises(StreamsFull):
            hub.join(Listener((0, new_id()), 0))
        for one in own:
            hub.leave(one)
        hub.join(Listener((0, new_id()), 0))

    asyncio.run(many())


ONE = new_id()


def test_freezing_is_told_in_the_wallet_of_whoever_froze(
    gao: Client, ctx: Context, league: LittleLeague
) -> None:
    approval.freeze(ctx, league.riders["Gao Lan"].account_id, by="owner")
    hear_here(ctx)

    assert "All spending from your wallet is stopped." in gao.get("/wallet/notices").text


def test_fares_and_the_answer_to_a_refund_are_told_and_the_bell_counts_them(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    tell(ctx, league, "something before")
    book_notices.turn(ctx)
    journey = ridden(ctx, client, league)
    book_notices.turn(ctx)
    account_id = league.riders["Gao Lan"].account_id
    charged = heard(ctx, account_id)[1:]
    asked = disputes.ask_refund(
        ctx,
        trust.Caller(f"person:{account_id}", "person", account_id=str(account_id)),
        dispute_id=new_id(),
        journey_id=journey.journey_id,
        reason="not_me",
        words="I was at home.",
    )
    operator = trust.Caller(
        asked.case.operator_id, "member", member_id=trust.MemberId(asked.case.operator_id)
    )
    disputes.act(
        ctx, operator, asked.case.dispute_id, action_id=new_id(), action=disputes.Action.REFUSE, words="No."
    )
    with ctx.tx() as tx:
        for (body,) in tx.execute(
            "select body from store.outbox where topic = %s order by seq", (disputes.TOPIC,)
        ).fetchall():
            news = TOPICS[disputes.TOPIC](tx, body)
            assert news is not None
            webhooks.record(tx, news)

    texts = heard(ctx, account_id)

    page = client.get("/wallet/money")
    assert len(charged) == 1 and charged[0].startswith("Your journey in Toronto cost ¥")
    assert texts[-1] == "The refund that you asked for was refused." and len(texts) == 3
    assert '<a class="bell" href="/wallet/notices" aria-label="Notices: 3 unread">' in page.text
    client.post("/wallet/notices/read", data={"up_to": "3"})
    assert 'aria-label="Notices"' in client.get("/wallet/money").text
    assert 'class="bell"' not in client.get("/verify/").text


def test_a_mark_and_news_of_a_day_are_kept_by_the_form(gao: Client) -> None:
    form = {"low": "20", "digest": "1", "digest_at": "07:30"}

    kept = gao.post("/wallet/notices/settings", data=form)
    wrong = gao.post("/wallet/notices/settings", data={"low": "-1", "digest_at": "07:30"})
    gone = gao.post("/wallet/notices/settings", data={"low": "", "digest_at": "07:30"})

    assert kept.status_code == 200 and 'name="low" inputmode="decimal" value="20.00"' in kept.text
    assert 'name="digest_at" value="07:30"' in kept.text and 'name="digest" value="1" checked' in kept.text
    assert wrong.status_code == 422
    assert 'name="low" inputmode="decimal" value=""' in gone.text and 'value="18:00"' in gone.text
