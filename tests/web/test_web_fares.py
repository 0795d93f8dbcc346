"""The fare calculator, a tariff's text, and the page that says why a ride cost what it cost."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import rides
from hansa.apps.web.pages import in_zone
from hansa.kernel import FixedClock
from hansa.store import Context
from web.little_league import WAY_IN, WAY_OUT, LittleLeague, Phone
from web.test_web_wallet import sign_in

Client = TestClient[Any]
ASKED = {"operator_id": "hangzhou-metro", "origin": "Xianghu", "destination": "Binkanglu"}


def text_of(html: str) -> str:
    """A page as it is read, without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def bill(html: str) -> tuple[list[str], str]:
    """The amounts of a fare's steps on a page, and their total."""
    (steps,) = re.findall(r'<ol class="steps">(.*?)</ol>', html, re.DOTALL)
    amounts = re.findall(r'<span class="money">([^<]*)</span>', steps)
    return [one for one in amounts[:-1] if one], amounts[-1]


def minor(amount: str) -> int:
    return int(re.sub(r"[^\d−-]", "", amount).replace("−", "-"))


def test_every_city_with_a_tariff_can_be_chosen(client: Client, league: LittleLeague) -> None:
    page = client.get("/fares").text

    assert re.findall(r'href="/fares\?operator_id=([^"]+)"', page) == ["hangzhou-metro", "toronto-ttc"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_fare_is_told_with_steps_that_sum_and_the_tariffs_own_lines(
    client: Client, league: LittleLeague, language: str
) -> None:
    page = client.get("/fares", params=ASKED | {"language": language}).text
    steps, total = bill(page)

    assert sum(minor(one) for one in steps) == minor(total) > 0
    assert ("公里" in text_of(page)) == (language == "zh")
    (address,) = set(re.findall(r'href="(/fares/hangzhou-metro/tariff\?[^"]+)#L\d+"', page))
    tariff = client.get(unescape(address)).text
    marked = re.findall(r"<mark>([^<]*)</mark>", tariff)
    assert marked and marked[0].startswith("[[basis.band]]")
    assert f'id="L{tariff.count("line-number")}"' in tariff


def test_other_classes_are_told_and_a_ride_that_has_no_fare(client: Client, league: LittleLeague) -> None:
    page = client.get("/fares", params=ASKED).text
    strange = client.get("/fares", params=ASKED | {"at": "1990-01-01T08:00"})
    before = client.get("/fares", params=ASKED | {"at": "2001-01-01T08:00"})

    assert all(words in text_of(page) for words in ("Adult", "Child", "Senior", "Student"))
    assert (strange.status_code, before.status_code) == (422, 422)
    assert "2000 to 2199" in strange.text and "No tariff is in force" in before.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"origin": "Xiangu"}, "Which stop do you mean?"),
        ({"origin": "zzzzzz"}, "There is no such stop here."),
        ({"at": "tomorrow"}, "Write a day and a time"),
    ],
)
def test_what_is_not_understood_is_asked_back_and_nothing_is_lost(
    client: Client, league: LittleLeague, change: dict[str, str], words: str
) -> None:
    answer = client.get("/fares", params=ASKED | change)

    assert (answer.status_code, words in answer.text) == (422, True)
    assert 'aria-invalid="true"' in answer.text and 'value="Binkang' in answer.text
    for address in re.findall(r'href="(/fares\?[^"]+origin=hangzhou%2F[^"]+)"', answer.text)[:1]:
        assert client.get(unescape(address)).status_code == 200


def test_markup_in_a_question_stays_text(client: Client, league: LittleLeague) -> None:
    answer = client.get("/fares", params=ASKED | {"origin": '"><script>alert(1)</script>'})
    tariff = client.get("/fares/hangzhou-metro/tariff", params={"clause": "<b>cap"})

    assert "<script>alert" not in answer.text and "<b>cap" not in tariff.text


def test_an_unknown_tariff_is_not_there(client: Client, league: LittleLeague) -> None:
    assert client.get("/fares/nobody/tariff").status_code == 404
    assert client.get("/fares/hangzhou-metro/tariff?from=1999-01-01").status_code in (404, 422)


def test_a_rider_reads_why_a_ride_cost_so_much_and_why_it_was_corrected(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    phone = Phone(ctx, league, "Gao Lan")
    sign_in(client, account)
    client.post(f"/gate/{WAY_IN}/read", json={"text": phone.show()})
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at += timedelta(minutes=20)
    client.post(f"/gate/{WAY_OUT}/read", json={"text": phone.show()})
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)

    english = client.get(f"/wallet/journeys/{journey.journey_id}").text
    chinese = client.get(f"/wallet/journeys/{journey.journey_id}?language=zh").text

    steps, total = bill(english)
    assert sum(minor(one) for one in steps) == minor(total) == journey.fare.minor
    assert f"{journey.fare}: adult fare from Xianghu to Binkang Lu" in text_of(english)
    assert "What the tariff says" in english and "[[basis.band]]" in english
    assert "为什么是这个价" in chinese and "湘湖" in chinese and '<html lang="zh">' in chinese
    assert "/fares?operator_id=hangzhou-metro" in english


def test_a_rider_says_where_she_came_out_and_reads_what_came_of_it(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    sign_in(client, account)
    client.post(f"/gate/{WAY_IN}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})
    came_out = clock.at + timedelta(minutes=9)
    clock.at += timedelta(hours=12)
    rides.rate(ctx)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)
    address = f"/wallet/journeys/{journey.journey_id}"
    local = in_zone(came_out, "Asia/Shanghai", "%Y-%m-%dT%H:%M")
    said = {"stop": "Binkang Lu", "at": local, "reason": "The gate stood open"}

    asked = client.get(address).text
    unknown = client.post(f"{address}/end", data=said | {"stop": "Binkong"})
    too_early = client.post(f"{address}/end", data=said | {"at": "2026-11-16T08:00"})
    unreadable = client.post(f"{address}/end", data=said | {"at": "in the morning"})
    with ctx.tx() as tx:
        unchanged = tx.execute("select count(*) from rides.stated_ends").fetchone()
    sent = client.post(f"{address}/end", data=said, follow_redirects=False)
    rides.rate(ctx)
    page = client.get(address).text

    assert "Say where you came out" in asked and "a tap is missing" in text_of(asked)
    assert [one.status_code for one in (unknown, too_early, unreadable)] == [422, 422, 422]
    assert "Did you mean Binkang Lu" in unknown.text and 'value="Binkong"' in unknown.text
    assert unchanged == (0,)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{address}?stated=1")
    assert "because the rider stated where the journey ended" in text_of(page)
    assert "¥2.00: adult fare from Xianghu to Binkang Lu" in text_of(page)
    assert "How your taps became this journey" in page
    assert "Say where you came out" not in page


def test_what_the_operator_does_not_take_from_riders_is_not_asked(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    text = rides.read_tariff(rides.tariff_folder("hangzhou-metro")).source.toml
    text = re.sub(r"(?m)^valid_from = .*$", "valid_from = 2026-11-01", text).replace(
        "per_month = 3", "per_month = 0"
    )
    with ctx.tx() as tx:
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(text, {})))
    sign_in(client, account)
    client.post(f"/gate/{WAY_IN}/read", json={"text": Phone(ctx, league, "Gao Lan").show()})
    clock.at += timedelta(hours=12)
    rides.rate(ctx)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)
    address = f"/wallet/journeys/{journey.journey_id}"

    refused = client.post(
        f"{address}/end", data={"stop": "Binkang Lu", "at": "2026-11-17T20:30", "reason": "I forgot"}
    )

    assert "Say where you came out" not in client.get(address).text
    assert refused.status_code == 422 and "ask the operator" in refused.text


def test_a_ride_without_a_fare_is_told_so_and_why(ctx: Context, client: Client, league: LittleLeague) -> None:
    tariff = rides.read_tariff(rides.tariff_folder("hangzhou-metro"))
    text = re.sub(r"(?m)^valid_from = .*$", "valid_from = 2026-11-01", tariff.source.toml)
    text = re.sub(r"(?ms)^\[basis\].*?(?=^\[(?!\[?basis))", SHORT, text, count=1)
    with ctx.tx() as tx:
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(text, {})))

    page = client.get("/fares", params=ASKED | {"language": "zh"})

    assert page.status_code == 200
    assert "票价规则中没有这次行程的票价" in page.text and "无票价" in page.text
    assert '<ol class="steps">' not in page.text


SHORT = """[basis]
kind = "distance"
[[basis.band]]
up_to_m = 100
fare = "2.00"

"""
