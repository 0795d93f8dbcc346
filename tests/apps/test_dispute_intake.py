"""Requests taken at the edge: on the disk before they are told to be taken, sent until answered, booked once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from typer.testing import CliRunner

from browser.conftest import Served
from disputes.disputing import CARD, OPERATOR, Killed, killed_at, new, open_books, ride
from disputes.test_dispute_routes import client_of
from hansa import disputes, trust
from hansa.apps.dispute_commands import dispute_app
from hansa.apps.dispute_intake import Http, KeptOtherwise, Outbox, Unreached, read_lines
from hansa.kernel import FixedClock, InvalidInput, SystemClock
from hansa.store import Context
from web import little_league

KEY = "the counter's key"
NOW = FixedClock(datetime(2026, 11, 20, 3, tzinfo=UTC))


class Door:
    """The league's routes, unless it is down."""

    def __init__(self, client: TestClient[Litestar]) -> None:
        self.client, self.down, self.posts = client, False, 0

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.posts += 1
        if self.down:
            raise Unreached("nobody answers")
        answer = self.client.post(path, content=body, headers={"content-type": "application/json"})
        return answer.status_code, answer.content


def refund(journey_id: UUID, number: int = 1, **more: Any) -> str:
    body = {
        "dispute_id": str(new(number)),
        "journey_id": str(journey_id),
        "reason": "not_me",
        "words": "At home.",
    }
    return json.dumps({"refund": body | more})


def listed(ctx: Context) -> list[disputes.Case]:
    with ctx.tx() as tx:
        return disputes.list_disputes(tx)


def names(folder: Path) -> dict[str, list[str]]:
    return {
        one: sorted(path.stem for path in (folder / one).iterdir()) for one in ("waiting", "sent", "refused")
    }


@pytest.fixture
def taken(ctx: Context, tmp_path: Path) -> tuple[Context, Outbox, UUID]:
    """A counter of the issuer's that has taken one request."""
    journey = ride(open_books(ctx))
    box = Outbox(tmp_path / "box", KEY, NOW)
    (request,) = read_lines([refund(journey)])
    assert box.keep(request) and not box.keep(request)
    return ctx, box, journey


def test_what_is_taken_while_the_league_is_down_is_sent_once_when_it_is_back(
    taken: tuple[Context, Outbox, UUID], tmp_path: Path
) -> None:
    ctx, box, journey = taken
    with client_of(ctx, CARD) as client:
        door = Door(client)
        door.down = True
        (told,) = box.send(door)
        assert (told.outcome, told.words) == ("waiting", "nobody answers") and listed(ctx) == []
        door.down = False
        (told,) = box.send(door)
        assert (
            told.outcome == "sent" and box.send(door) == [] and not box.keep(read_lines([refund(journey)])[0])
        )
        answer = read_lines(
            [
                json.dumps(
                    {
                        "action": {
                            "dispute_id": str(new(1)),
                            "action_id": str(new(2)),
                            "action": "withdraw",
                            "words": "Found it.",
                        }
                    }
                )
            ]
        )
        box.keep(answer[0])
        assert [one.outcome for one in box.send(door)] == ["sent"]

    (case,) = listed(ctx)
    assert (case.state, case.raised_by, case.issuer_id) == ("closed", CARD.who, CARD.member_id)
    assert names(tmp_path / "box") == {
        "waiting": [],
        "sent": sorted([str(new(1)), str(new(2))]),
        "refused": [],
    }


@pytest.mark.parametrize("step", ["posted", "written", "answered"])
def test_killed_at_any_step_of_sending_it_is_sent_again_and_asked_once(
    taken: tuple[Context, Outbox, UUID], tmp_path: Path, step: str
) -> None:
    ctx, box, _ = taken
    with client_of(ctx, CARD) as client:
        with pytest.raises(Killed):
            box.send(Door(client), step=killed_at(step))

        again = Outbox(tmp_path / "box", KEY, NOW)
        assert [one.outcome for one in again.send(Door(client))] == ["sent"]

    assert len(listed(ctx)) == 1
    assert (
        names(tmp_path / "box")["waiting"] == []
        and len(list((tmp_path / "box" / "sent").glob("*.json"))) == 1
    )


@pytest.mark.parametrize(("step", "there"), [("written", 0), ("kept", 1)])
def test_killed_while_taking_it_is_there_as_a_whole_or_not_at_all(
    ctx: Context, tmp_path: Path, step: str, there: int
) -> None:
    box = Outbox(tmp_path, KEY, NOW)
    (request,) = read_lines([refund(new(7))])
    with pytest.raises(Killed):
        box.keep(request, step=killed_at(step))

    assert len(box.waiting()) == there
    assert Outbox(tmp_path, KEY, NOW).keep(request) is (there == 0)
    assert len(box.waiting()) == 1


def changed_words(path: Path) -> None:
    path.write_text(path.read_text().replace("At home.", "Give all."))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize("harm", [changed_words, cut])
def test_what_was_changed_on_the_disk_is_not_sent(
    taken: tuple[Context, Outbox, UUID], tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    ctx, box, _ = taken
    harm(tmp_path / "box" / "waiting" / f"{new(1)}.json")

    with client_of(ctx, CARD) as client:
        door = Door(client)
        (told,) = box.send(door)

    assert (
        told.outcome == "waiting" and "changed since" in told.words and door.posts == 0 and listed(ctx) == []
    )


def test_a_new_key_sends_what_was_taken_with_the_old_one_where_that_is_named(
    taken: tuple[Context, Outbox, UUID], tmp_path: Path
) -> None:
    ctx, _, _ = taken
    with client_of(ctx, CARD) as client:
        assert [one.outcome for one in Outbox(tmp_path / "box", "new", NOW).send(Door(client))] == ["waiting"]
        both = Outbox(tmp_path / "box", "new", NOW, older_keys=[KEY])
        assert [one.outcome for one in both.send(Door(client))] == ["sent"]


def test_what_the_league_refuses_is_put_aside_with_its_reason_and_holds_up_nothing(
    taken: tuple[Context, Outbox, UUID], tmp_path: Path
) -> None:
    ctx, box, journey = taken
    box.keep(read_lines([refund(journey, 2, reason="bored")])[0])
    with client_of(ctx, CARD) as client:
        outcomes = {one.request_id: one.outcome for one in box.send(Door(client))}

    assert outcomes == {new(1): "sent", new(2): "refused"} and len(listed(ctx)) == 1
    assert json.loads((tmp_path / "box" / "refused" / f"{new(2)}.json").read_text())["status"] == 422


def test_a_key_that_is_not_taken_leaves_all_where_it_is(taken: tuple[Context, Outbox, UUID]) -> None:
    ctx, box, _ = taken
    with client_of(ctx, CARD, frozenset()) as client:
        (told,) = box.send(Door(client))

    assert told.outcome == "waiting" and told.words.startswith("HTTP 403") and len(box.waiting()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        "no json",
        "{}",
        '{"refund": {"dispute_id": "1"}}',
        '{"refund": null, "dispute": null}',
        refund(new(7), words="x" * 1_001),
        refund(new(7), words="a\0b"),
        refund(new(7), colour="red"),
        refund(new(7))[:-1]
        + ', "action": {"dispute_id": "'
        + str(new(1))
        + '", "action_id": "'
        + str(new(2))
        + '",'
        ' "action": "withdraw", "words": "w"}}',
        '{"action": {"dispute_id": "'
        + str(new(1))
        + '", "action_id": "'
        + str(new(2))
        + '", "action": "withdraw",'
        ' "words": ""}}',
        "[" * 5_000,
    ],
)
def test_one_bad_line_takes_nothing_and_is_named(odd: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_lines([refund(new(7)), "", odd])

    assert [one.where for one in refused.value.problems] == ["line 3"]


def test_an_id_with_other_content_is_refused(taken: tuple[Context, Outbox, UUID]) -> None:
    _, box, journey = taken
    before = box.waiting()
    with pytest.raises(KeptOtherwise):
        box.keep(read_lines([refund(journey, words="Other.")])[0])

    assert box.waiting() == before


@pytest.mark.parametrize(
    "url", ["http://league.example", "ftp://league.example", "league.example", "https://"]
)
def test_the_key_is_not_sent_in_the_clear(url: str) -> None:
    with pytest.raises(InvalidInput):
        Http(url, KEY)


def test_the_command_takes_while_the_server_is_stopped_and_sends_when_it_runs(
    committed_ctx: Context, tmp_path: Path
) -> None:
    league = little_league.build(committed_ctx, trust.KeyFolder(tmp_path / "keys"))
    with committed_ctx.tx() as tx:
        key = trust.create_api_key(
            tx, trust.MemberId("hangzhou-card"), ("disputes:write",), at=SystemClock().now()
        )
    (tmp_path / "key").write_text(key)
    (tmp_path / "asked").write_text(refund(new(7)) + "\n")
    served = Served(committed_ctx, tmp_path, league)
    served.start()
    served.stop()
    words = [
        "intake",
        "--outbox",
        str(tmp_path / "box"),
        "--url",
        served.url,
        "--key-file",
        str(tmp_path / "key"),
    ]

    down = CliRunner().invoke(dispute_app, [*words, str(tmp_path / "asked")])
    assert (
        down.exit_code == 75 and f"taken {new(1)}" in down.output and key not in str(names(tmp_path / "box"))
    )
    served.start()
    back = CliRunner().invoke(dispute_app, words)
    served.stop()

    assert back.exit_code == 1 and f"refused {new(1)}: There is no journey" in back.output
    assert names(tmp_path / "box") == {"waiting": [], "sent": [], "refused": [str(new(1))]}
    assert OPERATOR not in back.output
