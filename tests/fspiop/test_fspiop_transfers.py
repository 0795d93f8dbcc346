"""Transfers over HTTP, between members that are told of them by calls."""

from pathlib import Path
from typing import Any

import pytest
from doors import FULFILMENT, NOW, Doors, open_doors

from hansa.apps.fspiop import wire
from hansa.store import Context


def fulfilled(state: str = "COMMITTED", fulfilment: str | None = FULFILMENT, **more: Any) -> dict[str, Any]:
    body = {"transferState": state, "completedTimestamp": wire.said(NOW), "fulfilment": fulfilment} | more
    return {name: value for name, value in body.items() if value is not None}


REFUSAL = {"errorInformation": {"errorCode": "5104", "errorDescription": "Payee rejected"}}


def test_a_transfer_is_reserved_committed_and_told(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        transfer_id = doors.pay(1, amount="10.5")
        asked = doors.members["bo"].wait_for("POST", "/transfers")
        reserved = doors.position("anna")

        answer = doors.send("bo", "PUT", f"/transfers/{transfer_id}", fulfilled(), fspiop_destination="anna")
        told = doors.members["anna"].wait_for("PUT", f"/transfers/{transfer_id}")

        assert answer.status_code == 200
        assert (asked.body["amount"], asked.headers["fspiop-source"]) == (
            {"amount": "10.5", "currency": "USD"},
            "anna",
        )
        assert told.body["transferState"] == "COMMITTED"
        assert (told.headers["fspiop-source"], told.headers["fspiop-destination"]) == ("bo", "anna")
        assert (reserved, doors.position("anna"), doors.position("bo")) == (10.5, 10.5, -10.5)


CASES = [
    # what happens                    | error code that is told | to whom | state afterwards | position of anna
    ("the payee refuses", "5104", "anna", "ABORTED", 0),
    ("the fulfilment is wrong", "3100", "anna", "ABORTED", 0),
    ("the fulfilment is missing", "3100", "anna", "ABORTED", 0),
    ("it is for another payer", "3100", "anna", "ABORTED", 0),
    ("the time is up", "3303", "anna", "ABORTED", 0),
    ("the fulfilment is late", "3303", "bo", "ABORTED", 0),
    ("the cap is passed", "4200", "anna", "ABORTED", 0),
    ("the cover is passed", "4001", "anna", "ABORTED", 0),
    ("nobody knows the payee", "3100", "anna", None, 0),
    ("the payee takes no part", "3100", "anna", None, 0),
    ("the same id for another transfer", "3106", "anna", "RESERVED", 10),
    ("a stranger fulfils", "3208", "cy", "RESERVED", 10),
    ("the payer fulfils", "3100", "anna", "RESERVED", 10),
    ("another fulfilment after the end", "3106", "bo", "COMMITTED", 10),
    ("it was never prepared", "3208", "bo", None, 0),
]


@pytest.mark.slow
def test_what_goes_wrong_is_told_by_its_code_and_moves_nothing(
    committed_ctx: Context, tmp_path: Path
) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        for n, (what, code, to, state, position) in enumerate(CASES, start=1):
            before = doors.position("anna")

            transfer_id = go_wrong(doors, n, what)
            told = doors.members[to].wait_for("PUT", f"/transfers/{transfer_id}/error")

            assert told.body["errorInformation"]["errorCode"] == code, what
            assert doors.states().get(transfer_id) == state, what
            assert doors.position("anna") - before == position, what


def go_wrong(doors: Doors, n: int, what: str) -> str:
    """Do what the case says; gives the transfer's id."""
    bo = doors.members["bo"]
    path = f"/transfers/00000000-0000-0000-0000-{n:012x}"
    destination = {"fspiop_destination": "anna"}
    if what == "the cap is passed":
        return doors.pay(n, amount="501")
    if what == "the cover is passed":
        return doors.pay(n, amount="1000.01")
    if what == "nobody knows the payee":
        return doors.pay(n, payee="nobody")
    if what == "the payee takes no part":
        assert doors.admin("PUT", "/admin/participants/cy", {"isActive": False}).status_code == 200
        transfer_id = doors.pay(n, payee="cy")
        doors.members["anna"].wait_for("PUT", f"{path}/error")
        assert doors.admin("PUT", "/admin/participants/cy", {"isActive": True}).status_code == 200
        return transfer_id
    if what == "it was never prepared":
        doors.send("bo", "PUT", path, fulfilled(), **destination)
        return path.rpartition("/")[2]
    bo.told.clear()
    transfer_id = doors.pay(n)
    bo.wait_for("POST", "/transfers")
    match what:
        case "the payee refuses":
            doors.send("bo", "PUT", f"{path}/error", REFUSAL, **destination)
        case "the fulfilment is wrong":
            doors.send("bo", "PUT", path, fulfilled(fulfilment="A" * 43), **destination)
        case "the fulfilment is missing":
            doors.send("bo", "PUT", path, fulfilled(fulfilment=None), **destination)
        case "it is for another payer":
            doors.send("bo", "PUT", path, fulfilled(), fspiop_destination="cy")
        case "the time is up":
            doors.pass_time(31)
            bo.wait_for("PUT", f"{path}/error")
        case "the fulfilment is late":
            doors.pass_time(31)
            doors.members["anna"].wait_for("PUT", f"{path}/error")
            doors.send("bo", "PUT", path, fulfilled(), **destination)
        case "the same id for another transfer":
            doors.pay(n, amount="11")
        case "a stranger fulfils":
            doors.send("cy", "PUT", path, fulfilled(), **destination)
        case "the payer fulfils":
            doors.send("anna", "PUT", path, fulfilled(), **destination)
        case _:
            assert what == "another fulfilment after the end"
            doors.send("bo", "PUT", path, fulfilled(), **destination)
            doors.members["anna"].wait_for("PUT", path)
            doors.send("bo", "PUT", path, fulfilled(fulfilment="A" * 43), **destination)
    return transfer_id


def test_the_same_again_is_told_as_it_stands_and_pays_once(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        transfer_id = doors.pay(1)
        doors.members["bo"].wait_for("POST", "/transfers")
        path = f"/transfers/{transfer_id}"
        doors.pay(1)
        doors.send("bo", "PUT", path, fulfilled("RESERVED"), fspiop_destination="anna")
        first = doors.members["anna"].wait_for("PUT", path)
        patched = doors.members["bo"].wait_for("PATCH", path)
        doors.members["anna"].told.clear()

        doors.pay(1)
        again = doors.members["anna"].wait_for("PUT", path)
        doors.send("bo", "PUT", path, fulfilled(), fspiop_destination="anna")
        doors.members["bo"].wait_for("PUT", path)

        assert first.body["transferState"] == again.body["transferState"] == "COMMITTED"
        assert first.body["fulfilment"] == again.body["fulfilment"] == FULFILMENT
        assert (patched.body["transferState"], patched.headers["fspiop-source"]) == ("COMMITTED", "Hub")
        assert doors.position("anna") == 10


def test_either_side_may_ask_and_nobody_else(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        transfer_id = doors.pay(1)
        doors.members["bo"].wait_for("POST", "/transfers")
        path = f"/transfers/{transfer_id}"

        for name in doors.members:
            assert doors.send(name, "GET", path).status_code == 202

        assert doors.members["anna"].wait_for("PUT", path).body == {"transferState": "RESERVED"}
        assert doors.members["bo"].wait_for("PUT", path).body == {"transferState": "RESERVED"}
        refused = doors.members["cy"].wait_for("PUT", f"{path}/error").body
        assert refused["errorInformation"]["errorCode"] == "3208"


def test_a_member_that_is_away_is_told_when_it_is_back(committed_ctx: Context, tmp_path: Path) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        doors.members["bo"].status = 503
        doors.pay(1, lasts_s=600)
        doors.members["bo"].wait_for("POST", "/transfers")
        doors.members["bo"].told.clear()
        doors.members["bo"].status = 202

        doors.pass_time(5)
        doors.app.site.wake_notices()

        assert doors.members["bo"].wait_for("POST", "/transfers").body["amount"]["amount"] == "10"


def forget(*_: object) -> None:
    """As if the process had been killed there."""


def test_transfers_that_were_kept_and_not_taken_are_taken_by_a_turn(
    committed_ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_doors(committed_ctx, tmp_path) as doors:
        with monkeypatch.context() as killed:
            killed.setattr(type(doors.app.site), "later", forget)
            doors.pay(1)
        assert doors.states() == {}

        doors.pass_time(6)

        doors.members["bo"].wait_for("POST", "/transfers")
        assert list(doors.states().values()) == ["RESERVED"]
