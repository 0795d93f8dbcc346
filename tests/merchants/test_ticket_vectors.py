"""The questions about ticket codes that go to other verifiers: ours answers them, and the file is what makes them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hansa.codes import TICKET_REASONS, ticket_vectors, verify_ticket_code
from hansa.codes.tickets import TicketRefused
from hansa.gate import DenyList, TicketGate, TicketGateIdentity

FILE = Path(ticket_vectors.__file__).with_suffix(".json")


def test_our_gate_answers_each_question_of_the_file() -> None:
    asked = json.loads(FILE.read_text(encoding="utf-8"))
    setup = asked["gate"]
    identity = TicketGateIdentity(
        "kit/tickets",
        bytes.fromhex(setup["place"]),
        frozenset(setup["sellers"]),
        frozenset(map(bytes.fromhex, setup["products"])),
    )
    denied = DenyList(1, frozenset(map(bytes.fromhex, setup["denied"])))
    gate = TicketGate(identity, ticket_vectors.trust_list(), deny_list=denied)

    answers = [
        (one["name"], gate.decide(one["text"], datetime.fromtimestamp(one["now"], UTC)).reason)
        for one in asked["questions"]
    ]

    assert answers == [(one["name"], one["reason"]) for one in asked["questions"]]
    left = {"trust_list_expired"}
    assert {one["reason"] for one in asked["questions"]} | left == {"ok", *TICKET_REASONS}


def test_the_file_is_what_makes_it_and_a_list_that_ended_is_no_list() -> None:
    assert FILE.read_text(encoding="utf-8") == ticket_vectors.written()
    text = next(ticket_vectors.questions())["text"]
    trust_list = ticket_vectors.trust_list()
    with pytest.raises(TicketRefused) as refused:
        verify_ticket_code(
            text,
            trust_list,
            now=trust_list.expires_at,
            place=ticket_vectors.PLACE,
            sellers=frozenset({ticket_vectors.SELLER}),
            denied=lambda _: False,
        )
    assert refused.value.reason == "trust_list_expired"
