"""The tariff desk in the console: written, checked, tried, compared and decided by two; closed to others."""

import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import rides
from hansa.apps.web.tariff_forms import amounts_of, read_files, with_amounts
from hansa.apps.web.tariff_words import tariff_in_words
from hansa.fares import TariffSource
from hansa.kernel import InvalidInput
from hansa.store import Context
from web.little_league import WAY_IN, WAY_OUT, LittleLeague, Phone

Client = TestClient[Any]
HANGZHOU = "hangzhou-metro"
IN_FORCE = "version:2024-01-01"


def source() -> TariffSource:
    return rides.read_tariff(rides.tariff_folder(HANGZHOU)).source


def written(client: Client, *, nonce: str = "1", files: Any = None, **fields: str) -> Any:
    """What the form of a tariff answers, as a browser sends it."""
    data = {
        "operator": HANGZHOU,
        "base": IN_FORCE,
        "nonce": nonce,
        "note": "as the council decided",
        **fields,
    }
    parts = files or {"files": ("", b"")}
    return client.post("/console/tariffs/new", data=data, files=parts, follow_redirects=False)


def act_as(client: Client, name: str) -> None:
    client.post("/console/clerk", data={"clerk": name, "back": "/console/tariffs"})


def decide(client: Client, link: str, what: str, **fields: str) -> Any:
    return client.post(
        f"{link}/decide",
        data={"what": what, "why": "as the council decided", **fields},
        follow_redirects=False,
    )


def proposals(ctx: Context) -> list[rides.Proposal]:
    with ctx.tx() as tx:
        return rides.list_proposals(tx, ctx.clock.now())


def next_month(ctx: Context) -> str:
    return (ctx.clock.now().date() + timedelta(days=30)).isoformat()


@pytest.fixture
def draft(ctx: Context, client: Client, league: LittleLeague) -> str:
    """Ada raised the first amount; the draft's address."""
    assert league.riders
    first = amounts_of(source().toml)[0]
    answer = written(
        client, way="amounts", first_day=next_month(ctx), **{f"amount-{first.line}-{first.place}": "2.50"}
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_tariff_is_written_proposed_and_approved_by_another(
    ctx: Context, client: Client, draft: str
) -> None:
    page = client.get(draft).text
    assert "Nothing is wrong with it" in page and "¥2.50" in page and "Propose it" in page
    assert decide(client, draft, "propose").status_code == 303

    refused = decide(client, draft, "approve")
    assert refused.status_code == 409 and "Let somebody else look at it" in refused.text
    assert "Ada cannot approve it" in client.get(f"{draft}/decide?what=approve").text
    act_as(client, "Bo")
    told = client.get(f"{draft}/decide?what=approve").text
    assert "It takes the place of" in told and "No ride of the past is priced again" in told
    assert decide(client, draft, "approve").status_code == 303

    (one,) = proposals(ctx)
    assert (one.state, one.made_by, one.by("approved")) == ("scheduled", "demo:Ada", "demo:Bo")
    listed = client.get("/console/tariffs").text
    assert "scheduled" in listed and "span-scheduled" in listed


def test_a_tariff_is_written_and_decided_for_a_reason_that_is_kept(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    silent = written(client, way="day", first_day=next_month(ctx), note=" ")
    assert silent.status_code == 422 and "Say what changes and why" in silent.text and proposals(ctx) == []
    link = written(client, way="day", first_day=next_month(ctx), note="summer").headers["location"]

    for what in ("propose", "approve", "withdraw"):
        assert decide(client, link, what, why="").status_code == 422
    assert [one.state for one in proposals(ctx)] == ["draft"]
    decide(client, link, "propose", why="ready for the council")
    act_as(client, "Bo")
    decide(client, link, "approve", why="the council agreed")

    page = client.get(link).text
    assert all(f"· {why}" in page for why in ("summer", "ready for the council", "the council agreed"))


def test_a_form_sent_twice_is_one_draft(ctx: Context, client: Client, league: LittleLeague) -> None:
    assert league.riders
    links = [
        written(client, way="text", toml=source().toml.replace("2024-01-01", "2030-01-01")).headers[
            "location"
        ]
        for _ in range(2)
    ]

    assert links[0] == links[1]
    assert len(proposals(ctx)) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('currency = "CNY"', 'currency = "CNY', "not TOML"),
        (
            "[journey]",
            '[[cap]]\nperiod = "day"\ncurrency = "HKD"\namount = "9.00"\n[journey]',
            "another currency",
        ),
        ('[basis.beyond]\nevery_m = 8000\nadd = "1.00"\n', "", "no fare for"),
    ],
)
def test_what_is_wrong_is_marked_on_its_line(
    ctx: Context, client: Client, league: LittleLeague, old: str, new: str, said: str
) -> None:
    assert league.riders
    toml = source().toml.replace("2024-01-01", "2030-01-01")
    assert old in toml

    answer = written(client, way="text", toml=toml.replace(old, new))

    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    marked = re.findall(r'<tr id="L(\d+)" class="wrong">', page)
    assert said in page and len(marked) == 1
    assert "Propose it" not in page
    assert proposals(ctx)[0].state == "draft"
    again = client.get(
        f"/console/tariffs/new?operator={HANGZHOU}&base=proposal:{proposals(ctx)[0].proposal_id}"
    )
    assert said in again.text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"files": ("tariff.toml", b"\xff\xfe")}, "is not UTF-8"),
        ({"files": ("tariff.zip", b"no zip")}, "no zip archive"),
        ({"files": ("letter.docx", b"x")}, "neither TOML nor CSV nor zip"),
        ([("files", ("a.toml", b"a = 1")), ("files", ("b.toml", b"b = 1"))], "a second TOML file"),
    ],
)
def test_files_that_cannot_be_read_are_told_and_nothing_is_kept(
    ctx: Context, client: Client, league: LittleLeague, files: Any, said: str
) -> None:
    assert league.riders

    answer = written(client, way="files", files=files)

    assert answer.status_code == 422 and said in answer.text
    assert proposals(ctx) == []


def test_a_zip_with_a_table_of_five_megabytes_is_kept_and_its_wrong_row_shown(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    assert league.riders
    basis = source().toml[source().toml.index("[basis]") : source().toml.index("[journey]")]
    toml = source().toml.replace(basis, '[basis]\nkind = "pairs"\nfile = "fares.csv"\namounts = "minor"\n\n')
    rows = [f"hangzhou/stop-{n},hangzhou/stop-{n + 1},200,100,0,100" for n in range(110_000)]
    rows[70_000] = "hangzhou/stop-a,hangzhou/stop-b,two,100,0,100"
    table = "origin,destination,adult,student,child,senior\n" + "\n".join(rows)
    assert len(table) > 5_000_000
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tariff/tariff.toml", toml)
        archive.writestr("tariff/fares.csv", table)

    answer = written(client, way="files", files={"files": ("tariff.zip", packed.getvalue())})

    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"]).text
    assert "fares.csv line 70002" in page and "is no amount" in page
    assert "110,000 rows" in page
    assert len(page) < 300_000


def test_a_journey_is_tried_with_its_steps_and_clauses(client: Client, league: LittleLeague) -> None:
    assert league.riders
    link = f"/console/tariffs/{HANGZHOU}/2024-01-01"

    tried = client.get(f"{link}?origin=Xianghu&destination=Binkang+Lu&at=2026-11-17T08:30").text
    chinese = client.get(f"{link}?origin=Xianghu&destination=Binkang+Lu&at=2026-11-17T08:30&language=zh").text
    nowhere = client.get(f"{link}?origin=Atlantis&destination=Xianghu").text
    shaded = client.get(f"{link}?start=Xianghu").text
    when = client.get(f"{link}?origin=Xianghu&destination=Xixing&at=yesterday").text

    assert "1,721 m over the network" in tried and 'class="clause" href="#L' in tried
    assert "公里" in chinese
    assert "no stop, or more than one, is called “Atlantis”" in nowhere
    assert "Fares from Xianghu" in shaded and 'class="shade-0' in shaded
    assert "write a date and a time of day" in when


def test_two_tariffs_are_compared_over_what_was_ridden(
    ctx: Context, client: Client, league: LittleLeague, draft: str
) -> None:
    visitor = Phone(ctx, league, "Emily Tremblay")
    day = ctx.clock.now().date()
    client.post(f"/gate/{WAY_IN}/read", json={"text": visitor.show()})
    ctx.clock.at += timedelta(minutes=9)  # type: ignore[attr-defined]
    client.post(f"/gate/{WAY_OUT}/read", json={"text": visitor.show()})
    ctx.clock.at += timedelta(hours=12)  # type: ignore[attr-defined]
    rides.rate(ctx)
    after = f"proposal:{draft.rpartition('/')[2]}"
    query = {"operator": HANGZHOU, "before": IN_FORCE, "after": after, "first": str(day), "last": str(day)}

    page = client.get("/console/tariffs/compare", params=query).text
    table = client.get("/console/tariffs/compare", params=query | {"form": "csv"})
    long = client.get("/console/tariffs/compare", params=query | {"first": "2020-01-01"})

    assert "gives each journey the fare that the books hold: ¥2.00 in all" in page
    assert "over ¥0.20 up to ¥0.50 more" in page and "Xianghu → Binkang Lu" in page
    assert "By line of the way: of 1 journey no tap tells the line" in page and "no line told" not in page
    assert table.headers["content-type"].startswith("text/csv")
    assert f"all,{day} to {day},1,1,2.00,2.50,0.50,CNY" in table.text
    assert long.status_code == 422 and "Name at most 62" in long.text


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2100-01-01"])
def test_a_first_day_at_the_end_of_the_calendar_breaks_no_page(
    ctx: Context, client: Client, league: LittleLeague, day: str
) -> None:
    assert league.riders
    toml = source().toml.replace("2024-01-01", f"{day}\nvalid_to = 9999-12-31")
    link = written(client, way="text", toml=toml).headers["location"]

    for path in (
        link,
        "/console/tariffs",
        f"{link}/decide?what=approve",
        f"/console/tariffs/compare?operator={HANGZHOU}",
    ):
        assert client.get(path).status_code == 200, path
    base = f"proposal:{proposals(ctx)[0].proposal_id}"
    assert client.get(f"/console/tariffs/new?operator={HANGZHOU}&base={base}").status_code == 200
    query = {"operator": HANGZHOU, "before": IN_FORCE, "after": base, "first": day, "last": day}
    assert client.get("/console/tariffs/compare", params=query).status_code in (200, 422)


def test_the_desk_is_closed_to_others(client: Client, stranger: Client, draft: str) -> None:
    for path in (
        "/console/tariffs",
        draft,
        f"{draft}/decide?what=approve",
        "/console/tariffs/new?operator=x",
    ):
        assert stranger.get(path, headers={"accept": "text/html"}).status_code == 401
    assert stranger.post(f"{draft}/decide", data={"what": "withdraw", "why": "x"}).status_code == 401
    crossed = client.post(
        f"{draft}/decide", data={"what": "propose"}, headers={"origin": "https://elsewhere.example"}
    )
    assert crossed.status_code == 403
    assert "draft" in client.get(draft).text
    away = client.post(
        "/console/clerk",
        data={"clerk": "Bo", "back": "https://elsewhere.example"},
        follow_redirects=False,
    )
    assert away.headers["location"] == "/console/tariffs"


# -- words and amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["beijing-subway", "hong-kong-mtr", "london-tfl", "toronto-ttc"])
def test_every_rule_is_told_in_words_on_its_line(operator: str) -> None:
    tariff = rides.read_tariff(rides.tariff_folder(operator)).source

    lines = tariff.toml.splitlines()
    for section in tariff_in_words(tariff):
        for rule in section.rules:
            assert rule.line is None or lines[rule.line - 1].startswith("[")
            assert rule.sentences or rule.figures
            assert "None" not in " ".join(rule.sentences)


def test_a_field_without_words_is_told_by_its_name() -> None:
    toml = source().toml + '\n[new_thing]\ngreat_idea = true\n\n[[fee]]\nname = "F"\namount = "1"\nodd = 7\n'

    told = " ".join(
        sentence
        for section in tariff_in_words(TariffSource(toml, {}))
        for rule in section.rules
        for sentence in rule.sentences
    )

    assert "Great idea: yes." in told and "Odd: 7." in told


def test_amounts_are_changed_where_they_stand_and_nothing_else() -> None:
    toml = '# "9.99" is a remark\n[[cap]]\nzones = "1-2" # "8"\namount = { adult = "8.90", child = "4.45" } # "7"\n'
    found = amounts_of(toml)

    changed = with_amounts(toml, {(one.line, one.place): "10" for one in found})

    assert [(one.line, one.value, one.label) for one in found] == [
        (4, "8.90", "Cap: zones 1-2"),
        (4, "4.45", "Cap: zones 1-2"),
    ]
    assert changed == toml.replace('"8.90"', '"10"').replace('"4.45"', '"10"')
    with pytest.raises(InvalidInput, match="no amount"):
        with_amounts(toml, {(found[0].line, found[0].place): "ten"})


def test_a_new_text_keeps_the_tables_it_was_not_handed() -> None:
    base = TariffSource("old = 1", {"fares.csv": "a"})

    assert read_files([("", b"")], base) == base
    assert read_files([("tariff.toml", b"new = 1")], base) == TariffSource("new = 1", {"fares.csv": "a"})
