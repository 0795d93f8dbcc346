"""Ticket codes and the gate that checks them without network: place, time, entries, forgery, power loss."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as some

from hansa import codes
from hansa.codes import TICKET_REASONS, TicketScope, ticket_place
from hansa.gate import DenyList, FileState, TicketGate, TicketGateIdentity
from hansa.kernel import InvalidInput
from scratch import NOON

SELLER = "hangzhou-card"
PLACE, SCHOOL = ticket_place("West Lake Pagoda"), ticket_place("Another Pagoda")
PERMANENT, SPECIAL = b"perm", b"spec"


@dataclass(frozen=True)
class Seller:
    """An issuer that sells tickets, and one phone that holds one."""

    private: Ed25519PrivateKey
    phone: ec.EllipticCurvePrivateKey
    kid: bytes = b"kid1"

    def listed(self, **changed: Any) -> codes.TrustedKey:
        key = codes.TrustedKey(
            self.kid,
            SELLER,
            self.private.public_key().public_bytes_raw(),
            NOON - timedelta(days=1),
            NOON + timedelta(days=90),
            ("metro", "attraction"),
            "active",
        )
        return replace(key, **changed)

    def ticket(
        self,
        *,
        entries: int = 1,
        place: bytes = PLACE,
        cti: bytes = b"ticket-1",
        lasts: timedelta = timedelta(hours=2),
    ) -> bytes:
        return codes.make_ticket_token(
            self.private,
            kid=self.kid,
            cti=cti,
            begins_at=NOON - timedelta(minutes=30),
            expires_at=NOON + lasts,
            device_key=self.phone.public_key(),
            scope=TicketScope(place, PERMANENT, "adult", entries),
        )

    def show(self, token: bytes, counter: int, at: datetime = NOON) -> str:
        return codes.make_ticket_code(self.phone, token, made_at=at, counter=counter)


SELLS = Seller(Ed25519PrivateKey.from_private_bytes(bytes(32)), ec.derive_private_key(11, ec.SECP256R1()))
FORGER = Seller(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32), SELLS.phone)
THIEF = Seller(SELLS.private, ec.derive_private_key(12, ec.SECP256R1()))


def trusting(*keys: codes.TrustedKey) -> codes.TrustList:
    return codes.TrustList(3, NOON, NOON + timedelta(days=7), keys or (SELLS.listed(),))


def gate(**changed: Any) -> TicketGate:
    identity = TicketGateIdentity("pagoda.north", PLACE, frozenset({SELLER}))
    return TicketGate(
        replace(identity, **{name: one for name, one in changed.items() if name != "state"}),
        trusting(),
        state=changed.get("state"),
    )


def test_a_ticket_opens_its_attraction_as_often_as_it_says_and_no_more() -> None:
    door = gate()
    token = SELLS.ticket(entries=2)

    decisions = [door.decide(SELLS.show(token, counter), NOON) for counter in (1, 2, 3)]

    assert [one.reason for one in decisions] == ["ok", "ok", "used_up"]
    assert [one.left for one in decisions] == [1, 0, 0]
    assert [tap.sequence for tap in door.pending()] == [1, 2]
    assert door.tally == {"ok": 2, "used_up": 1}


def test_the_same_code_is_good_once_and_a_gate_after_power_loss_knows_it_still(tmp_path: Path) -> None:
    path = tmp_path / "gate.sqlite"
    token = SELLS.ticket(entries=3)
    first = gate(state=FileState(path))

    assert first.decide(SELLS.show(token, 5), NOON).accepted
    assert first.decide(SELLS.show(token, 5), NOON).reason == "replay"
    again = gate(state=FileState(path))

    assert again.decide(SELLS.show(token, 5), NOON).reason == "replay"
    assert again.decide(SELLS.show(token, 6), NOON).left == 1
    again.acknowledge(2)
    assert again.pending() == []
    with pytest.raises(InvalidInput):
        again.acknowledge(3)


def test_no_older_list_is_taken_and_a_stolen_sellers_key_opens_nothing_from_its_list_on() -> None:
    door, token = gate(), SELLS.ticket(entries=9)
    newer = replace(trusting(SELLS.listed(status="compromised")), version=4)

    assert door.decide(SELLS.show(token, 1), NOON).accepted
    door.use_trust_list(newer)
    with pytest.raises(codes.TrustListRefused):
        door.use_trust_list(trusting())
    assert door.decide(SELLS.show(token, 2), NOON).reason == "untrusted_issuer"

    other = gate()
    assert other.use_deny_list(DenyList(7, frozenset({b"ticket-1"})))
    assert not other.use_deny_list(DenyList(6, frozenset()))
    assert other.decide(SELLS.show(token, 3), NOON).reason == "revoked"


def test_a_gate_forgets_tickets_that_are_over_and_keeps_those_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.gate.keeping._FORGET_EVERY", 2)
    path = tmp_path / "gate.sqlite"
    door = gate(state=FileState(path))
    over, later = SELLS.ticket(), SELLS.ticket(cti=b"ticket-2", lasts=timedelta(hours=9))

    assert door.decide(SELLS.show(over, 1), NOON).accepted
    evening = NOON + timedelta(hours=3)
    assert door.decide(SELLS.show(later, 1, evening), evening).accepted

    for one in (FileState(path).load("pagoda.north"), door._memory):  # pyright: ignore[reportPrivateUsage]
        assert set(one.offline_rides) == set(one.counters) == {SELLS.kid + b"ticket-2"}


def phone_swapped(_: None) -> str:
    """A thief who has seen the token signs it with a key of their own."""
    return THIEF.show(SELLS.ticket(), 1)


CASES: list[tuple[Callable[[None], str], dict[str, Any], str]] = [
    (lambda _: SELLS.show(SELLS.ticket(), 1, NOON - timedelta(seconds=21)), {}, "clock_skew"),
    (lambda _: SELLS.show(SELLS.ticket(), 1, NOON + timedelta(seconds=31)), {}, "clock_skew"),
    (lambda _: SELLS.show(SELLS.ticket(place=SCHOOL), 1), {}, "other_place"),
    (lambda _: SELLS.show(SELLS.ticket(), 1), {"products": frozenset({SPECIAL})}, "other_product"),
    (lambda _: SELLS.show(SELLS.ticket(), 1), {"sellers": frozenset({"toronto-card"})}, "other_seller"),
    (lambda _: FORGER.show(FORGER.ticket(), 1), {}, "bad_token_signature"),
    (phone_swapped, {}, "bad_code_signature"),
    (lambda _: "HR1:+WG0", {}, "malformed"),
    (lambda _: "HRT:", {}, "malformed"),
    (lambda _: "HRT:" + "A" * 1_600, {}, "malformed"),
]


@pytest.mark.parametrize(("make", "changed", "reason"), CASES, ids=[case[2] for case in CASES])
def test_what_is_refused_is_told_and_leaves_no_tap(
    make: Callable[[None], str], changed: dict[str, Any], reason: str
) -> None:
    door = gate(**changed)

    decision = door.decide(make(None), NOON)

    assert (decision.accepted, decision.reason, door.pending()) == (False, reason, [])
    assert reason in TICKET_REASONS


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOON - timedelta(minutes=30, seconds=1), "too_early"),
        (NOON - timedelta(minutes=30), "ok"),
        (NOON + timedelta(hours=2) - timedelta(seconds=1), "ok"),
        (NOON + timedelta(hours=2), "over"),
    ],
)
def test_a_ticket_is_good_within_its_time(at: datetime, reason: str) -> None:
    assert gate().decide(SELLS.show(SELLS.ticket(), 1, at), at).reason == reason


def test_keys_that_may_not_sell_and_tickets_given_back_open_nothing() -> None:
    text = SELLS.show(SELLS.ticket(), 1)
    for key, reason in [
        (SELLS.listed(products=("metro",)), "product_not_allowed"),
        (SELLS.listed(status="compromised"), "untrusted_issuer"),
        (SELLS.listed(not_after=NOON), "issuer_outside_dates"),
        (SELLS.listed(kid=b"othr"), "untrusted_issuer"),
    ]:
        door = TicketGate(gate().identity, trusting(key))
        assert door.decide(text, NOON).reason == reason
    ended = TicketGate(gate().identity, replace(trusting(), expires_at=NOON))
    assert ended.decide(text, NOON).reason == "trust_list_expired"
    door = gate()
    assert door.use_deny_list(DenyList(1, frozenset({b"ticket-1"})))
    assert door.decide(text, NOON).reason == "revoked"
    assert not door.use_deny_list(DenyList(0, frozenset()))


def test_a_gate_for_rides_says_it_does_not_know_tickets_and_the_other_way_round() -> None:
    ticket = SELLS.show(SELLS.ticket(), 1)
    token = codes.make_token(
        SELLS.private,
        kid=SELLS.kid,
        cti=b"ride-tok",
        expires_at=NOON + timedelta(hours=2),
        device_key=SELLS.phone.public_key(),
        scope=codes.Scope("adult", ("attraction",), (), 3),
    )
    ride = codes.make_code(SELLS.phone, token, made_at=NOON, counter=1)

    with pytest.raises(codes.CodeRefused) as refused:
        codes.verify_code(ticket, trusting(), now=NOON, product="attraction", denied=lambda _: False)
    assert refused.value.reason == "unknown_suite"
    assert gate().decide(ride, NOON).reason == "malformed"
    # A ride token in a ticket's clothes: the same key signed it, and it is still no ticket.
    assert gate().decide("HRT:" + ride.removeprefix("HR1:"), NOON).reason == "malformed"


@settings(max_examples=80, deadline=None)
@given(place=some.integers(0, 380), letter=some.sampled_from("0A9Z $%*+-./:a"))
def test_no_changed_letter_makes_another_good_ticket(place: int, letter: str) -> None:
    text = SELLS.show(SELLS.ticket(), 1)
    changed = text[:place] + letter + text[place + 1 :]

    decision = gate().decide(changed, NOON)

    assert decision.accepted == (changed == text)
