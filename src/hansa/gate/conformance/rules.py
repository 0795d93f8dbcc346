"""What a gate must know beside signatures: repeats, clocks, places, lists, caps. Most of it has a memory."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hansa.codes import Scope, cbor_decode, cbor_encode, sign_trust_list
from hansa.gate.conformance.bench import (
    CELL,
    DAY,
    DENY_REFUSED,
    FAR_CELL,
    LIST_REFUSED,
    NEXT_CELL,
    NO_POINT,
    NOW,
    REVOKED,
    REVOKED_LATER,
    SCOPE,
    SECOND,
    Bench,
    Question,
    twin_of,
)
from hansa.gate.conformance.drafts import Message
from hansa.gate.model import OK


def honest(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone()
    yield bench.show("a code", bench.code(phone), OK)
    for counter, length in ((24, 2), (255, 2), (256, 3), (65535, 3)):
        yield bench.show(f"a counter of {length} bytes: {counter}", bench.code(phone, counter=counter), OK)
    yield bench.show("counter 0", bench.code(counter=0), OK)
    for rider_class in ("child", "senior", "student"):
        scope = Scope(rider_class, ("metro",), ("metro",), 0)
        yield bench.show(f"a {rider_class}", bench.code(bench.phone(scope=scope)), OK)
    everything = Scope("student", ("metro", "bus", "bicycle"), ("metro", "cable_car"), 255, companions=15)
    full = bench.code(
        bench.phone(scope=everything), counter=65535, companion=15, challenge=9999, cell=NEXT_CELL
    )
    yield bench.show("all that a code can hold", full, OK, challenge="9999")
    for number in range(40):  # halves of r and s begin with zeros, keys have either sign
        yield bench.show(f"phone {number + 1} of 40", bench.code(), OK)


def replay(bench: Bench) -> Iterator[Question]:
    for name in "ab":
        yield bench.gate(name)
    phone = bench.phone()
    first = bench.code(phone, counter=5)
    yield bench.show("shown first", first, OK)
    yield bench.show("the same code again", first, "replay")
    yield bench.show("the same code a second later", first, "replay", now=NOW + SECOND)
    again = bench.code(phone, NOW + SECOND, counter=5)
    yield bench.show("another signature over the same counter", again, "replay")
    yield bench.show("a counter that goes back by one", bench.code(phone, counter=4), "replay")
    yield bench.show("a counter that goes back to 0", bench.code(phone, counter=0), "replay")
    yield bench.show("the next counter", bench.code(phone, counter=6), OK)
    yield bench.show("the first code after the second", first, "replay")
    yield bench.show("a counter that leaps", bench.code(phone, counter=65535), OK)
    yield bench.show("no counter is greater than the greatest", bench.code(phone, counter=65535), "replay")
    yield bench.show("another gate keeps its own counters", first, OK, gate="b")
    yield bench.show("and refuses its own repeats", first, "replay", gate="b")
    zero = bench.code(bench.phone(), counter=0)
    yield bench.show("counter 0 first", zero, OK)
    yield bench.show("counter 0 again", zero, "replay")
    late = bench.code(made_at=NOW + 31 * SECOND)
    yield bench.show("a code that is refused", late, "clock_skew")
    yield bench.show("is not used up by that", late, OK, now=NOW + SECOND)
    cti = bench.mint.some_bytes("shared cti", 8)
    yield bench.show("a token id of one issuer", bench.code(bench.phone(cti=cti), counter=9), OK)
    other = bench.phone(cti=cti, issuer="two")
    yield bench.show("is another token when another issuer gives it", bench.code(other, counter=9), OK)
    yield bench.gate("a", about="the gate is set up anew")
    yield bench.show("a gate set up anew has seen nothing", first, OK)


def clock(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone()
    for seconds, expect in (
        (-86400, "clock_skew"),
        (-21, "clock_skew"),
        (-20, OK),
        (0, OK),
        (30, OK),
        (31, "clock_skew"),
    ):
        code = bench.code(phone, NOW + seconds * SECOND)
        yield bench.show(f"made {seconds:+} s from the gate's clock", code, expect)
    yield bench.show("made in 1970", bench.code(phone, datetime(1970, 1, 3, tzinfo=UTC)), "clock_skew")
    last = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
    yield bench.show("made in 2106", bench.code(phone, last), "clock_skew")


def token_life(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    end = NOW + timedelta(hours=1)
    phone = bench.phone(end)
    before = end - SECOND
    yield bench.show("one second before the end", bench.code(phone, before), OK, now=before)
    yield bench.show("the second of the end", bench.code(phone, end), "token_expired", now=end)
    yield bench.show("long ended", bench.code(bench.phone(NOW - 99 * DAY)), "token_expired")
    yield bench.show("24 hours ahead", bench.code(bench.phone(NOW + DAY)), OK)
    yield bench.show("24 hours and 30 s ahead", bench.code(bench.phone(NOW + DAY + 30 * SECOND)), OK)
    late = bench.phone(NOW + DAY + 31 * SECOND)
    yield bench.show("24 hours and 31 s ahead", bench.code(late), "token_not_yet_valid")
    yield bench.show("a week ahead", bench.code(bench.phone(NOW + 7 * DAY)), "token_not_yet_valid")


def issuers(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    yield bench.show("a retired key's token lives on", bench.code(bench.phone(issuer="retired")), OK)
    yield bench.show("a key id on no list", bench.code(bench.phone(issuer="stranger")), "untrusted_issuer")
    compromised = bench.code(bench.phone(issuer="compromised"))
    yield bench.show("a compromised key", compromised, "untrusted_issuer")
    yield bench.show("the second a key ends", bench.code(bench.phone(issuer="ended")), "issuer_outside_dates")
    before = NOW - SECOND
    yield bench.show("one second before", bench.code(bench.phone(issuer="ended"), before), OK, now=before)
    early = bench.phone(issuer="early")
    yield bench.show("one second before a key begins", bench.code(early), "issuer_outside_dates")
    after = NOW + SECOND
    yield bench.show("the second it begins", bench.code(early, after), OK, now=after)
    yield bench.show(
        "an issuer without this product", bench.code(bench.phone(issuer="bus")), "product_not_allowed"
    )


def products(bench: Bench) -> Iterator[Question]:
    for name, product in (("a", "metro"), ("b", "bus"), ("c", "parking")):
        yield bench.gate(name, product=product, about=f"a gate of the {product}")
    metro = Scope("adult", ("metro",), (), 8)
    yield bench.show("metro at the metro", bench.code(bench.phone(scope=metro)), OK)
    yield bench.show(
        "metro at the bus", bench.code(bench.phone(scope=metro)), "product_not_allowed", gate="b"
    )
    modes = Scope("adult", ("metro", "bus"), ("bus",), 8)
    yield bench.show("a mode left out", bench.code(bench.phone(scope=modes)), "product_not_allowed")
    yield bench.show("a mode named", bench.code(bench.phone(scope=modes)), OK, gate="b")
    nothing = Scope("adult", (), (), 8)
    yield bench.show("no product at all", bench.code(bench.phone(scope=nothing)), "product_not_allowed")
    parking = Scope("adult", ("parking",), ("bus",), 8)
    yield bench.show(
        "a product the issuer may not sell",
        bench.code(bench.phone(scope=parking)),
        "product_not_allowed",
        gate="c",
    )
    key = replace(bench.key("one"), products=("metro", "bus", "parking"))
    yield bench.gate("c", product="parking", trust_list=bench.list_of(7, one=key), about="now it may")
    yield bench.show("modes are of vehicles only", bench.code(bench.phone(scope=parking)), OK, gate="c")


def companions(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone(scope=replace(SCOPE, companions=2))
    for companion, counter, expect in (
        (0, 7, OK),
        (1, 7, OK),
        (1, 7, "replay"),
        (2, 1, OK),
        (2, 1, "replay"),
        (0, 7, "replay"),
        (1, 8, OK),
        (0, 8, OK),
        (3, 1, "companion_not_allowed"),
        (15, 1, "companion_not_allowed"),
    ):
        code = bench.code(phone, companion=companion, counter=counter)
        yield bench.show(f"rider {companion}, counter {counter}: {expect}", code, expect)
    alone = bench.code(companion=1)
    yield bench.show("a token for one", alone, "companion_not_allowed")


def digits(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone()
    for answered, shown, expect in (
        (42, "0042", OK),
        (43, "0042", "wrong_challenge"),
        (None, "0042", "wrong_challenge"),
        (42, None, "wrong_challenge"),
        (0, "0000", OK),
        (None, "0000", "wrong_challenge"),
        (0, None, "wrong_challenge"),
        (4200, "0042", "wrong_challenge"),
        (23, "0023", OK),
        (24, "0024", OK),
        (255, "0255", OK),
        (256, "0256", OK),
        (9999, "9999", OK),
    ):
        code = bench.code(phone, challenge=answered)
        yield bench.show(f"the gate shows {shown}, the code says {answered}", code, expect, challenge=shown)
    wrong = bench.code(phone, challenge=11)
    yield bench.show("a code refused for its digits", wrong, "wrong_challenge", challenge="0012")
    yield bench.show("is not used up by that", wrong, OK, challenge="0011")


def places(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    for name, cell, expect in (
        ("the gate's cell", CELL, OK),
        ("a cell that touches it at a corner", NEXT_CELL, OK),
        ("two cells to the east", FAR_CELL, "wrong_place"),
        ("two cells to the north", bytes.fromhex("b8dd2c"), "wrong_place"),
        ("the other side of the world", bytes.fromhex("47252c"), "wrong_place"),
        ("a phone that does not know", bytes(3), OK),
    ):
        yield bench.show(name, bench.code(cell=cell), expect)
    yield bench.gate("b", cell=bytes(3), about="a gate that does not know where it is")
    yield bench.show("any cell", bench.code(cell=FAR_CELL), OK, gate="b")
    yield bench.gate("c", cell=bytes.fromhex("800fff"), about="a gate at 180 degrees East")
    yield bench.show("the next cell to the east", bench.code(cell=bytes.fromhex("800000")), OK, gate="c")
    yield bench.show("a corner across the line", bench.code(cell=bytes.fromhex("801000")), OK, gate="c")
    two = bench.code(cell=bytes.fromhex("800001"))
    yield bench.show("two cells to the east of it", two, "wrong_place", gate="c")
    yield bench.gate("d", cell=bytes.fromhex("fff123"), about="a gate at the North Pole")
    south = bench.code(cell=bytes.fromhex("000123"))
    yield bench.show("the South Pole does not touch it", south, "wrong_place", gate="d")


def denied(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    yield bench.show("revoked", bench.code(bench.phone(cti=REVOKED)), "revoked")
    later = bench.phone(cti=REVOKED_LATER)
    yield bench.show("not revoked yet", bench.code(later), OK)
    yield bench.deny("a newer deny list adds it", 4, [REVOKED_LATER], since=3)
    yield bench.show("revoked by the newer list", bench.code(later), "revoked")
    yield bench.show("and the first still is", bench.code(bench.phone(cti=REVOKED)), "revoked")
    yield bench.deny("an older update comes late", 3, [], since=2, expect=DENY_REFUSED)
    yield bench.show("and lets nobody in", bench.code(later), "revoked")
    yield bench.show("nor anybody out", bench.code(), OK)


def offline(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone(scope=replace(SCOPE, offline_cap=2, companions=1))
    yield bench.show("the first ride without network", bench.code(phone), OK, online=False)
    yield bench.show("a companion's ride counts", bench.code(phone, companion=1), OK, online=False)
    third = bench.code(phone)
    yield bench.show("one more than the cap", third, "offline_cap", online=False)
    yield bench.show("refused, so it is no replay", third, "offline_cap", online=False)
    yield bench.show("with the network again", third, OK)
    yield bench.show("a replay is a replay", third, "replay", online=False)
    yield bench.show("counted anew", bench.code(phone), OK, online=False)
    yield bench.show("counted anew, the second", bench.code(phone), OK, online=False)
    yield bench.show("counted anew, one more", bench.code(phone), "offline_cap", online=False)
    none = bench.phone(scope=replace(SCOPE, offline_cap=0))
    yield bench.show("a cap of 0", bench.code(none), "offline_cap", online=False)
    yield bench.show("a cap of 0 with the network", bench.code(none), OK)
    cti, once = bench.mint.some_bytes("capped cti", 8), replace(SCOPE, offline_cap=1)
    one, two = bench.phone(cti=cti, scope=once), bench.phone(cti=cti, scope=once, issuer="two")
    yield bench.show("a token id of one issuer", bench.code(one), OK, online=False)
    yield bench.show("another issuer's token of the same id", bench.code(two), OK, online=False)
    yield bench.show("and its cap", bench.code(two), "offline_cap", online=False)
    yield bench.gate("b", action="exit", about="a gate to go out")
    yield bench.show("going out is no ride", bench.code(none), OK, gate="b", online=False)


def lists(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone, root = bench.phone(), bench.root
    newer = sign_trust_list(bench.list_of(8, two=None), root)
    yield bench.show("an issuer of list 7", bench.code(bench.phone(issuer="two")), OK)
    yield bench.use_list(
        "another root", sign_trust_list(bench.list_of(9), bench.mint.issuer("one")), LIST_REFUSED
    )
    yield bench.use_list("cut short", newer[:-1], LIST_REFUSED)
    yield bench.use_list("a bit flipped", newer[:-1] + bytes((newer[-1] ^ 1,)), LIST_REFUSED)
    yield bench.use_list("an older version", sign_trust_list(bench.list_of(6), root), LIST_REFUSED)
    yield bench.use_list("the same version again", sign_trust_list(bench.list_of(7), root), LIST_REFUSED)
    ended = replace(bench.list_of(9), expires_at=NOW)
    yield bench.use_list("one that has ended", sign_trust_list(ended, root), LIST_REFUSED)
    plain = Message(b"\xa1\x01\x27", cbor_decode(newer)[2]).signed(root)
    yield bench.use_list("signed, but as nothing", plain.data, LIST_REFUSED)
    other = plain.header({3: "text/plain"}).signed(root)
    yield bench.use_list("signed, but as something else", other.data, LIST_REFUSED)
    yield from _odd_lists(bench, newer)
    more = plain.header({3: cbor_decode(cbor_decode(newer)[0])[3], 4: b"root"}).signed(root)
    yield bench.use_list("a header too many", more.data, LIST_REFUSED)
    yield bench.show("the old list is still in use", bench.code(bench.phone(issuer="two")), OK)
    yield bench.use_list("a newer list without an issuer", newer, OK)
    gone = bench.code(bench.phone(issuer="two"))
    yield bench.show("that issuer is gone", gone, "untrusted_issuer")
    yield bench.show("the others are not", bench.code(phone), OK)
    rotated = bench.list_of(9, one=replace(bench.key("one"), status="retired"), new=bench.key("new"))
    yield bench.use_list("a key is rotated", sign_trust_list(rotated, root), OK)
    yield bench.show("the new key", bench.code(bench.phone(issuer="new")), OK)
    yield bench.show("the old key's token", bench.code(phone), OK)
    stolen = bench.list_of(10, one=replace(bench.key("one"), status="compromised"), new=bench.key("new"))
    yield bench.use_list("the old key was stolen", sign_trust_list(stolen, root), OK)
    yield bench.show("its token, known to be good before", bench.code(phone), "untrusted_issuer")
    swapped = replace(bench.key("one"), public_key=bench.key("two").public_key)
    yield bench.use_list(
        "another key under the same id", sign_trust_list(bench.list_of(11, one=swapped), root), OK
    )
    yield bench.show("a token known to be good before, too", bench.code(phone), "bad_token_signature")
    yield bench.gate("b", about="a gate with list 7")
    end = bench.trust_list.expires_at
    living = bench.phone(end + timedelta(hours=1))
    before = end - SECOND
    yield bench.show("one second before the list ends", bench.code(living, before), OK, gate="b", now=before)
    yield bench.show("the second it ends", bench.code(living, end), "trust_list_expired", gate="b", now=end)


def order(bench: Bench) -> Iterator[Question]:
    """Codes with two faults: the one that comes first in the specification is told."""
    yield bench.gate()
    ended = bench.phone(NOW - SECOND)
    forged = bench.forged(bench.phone(NOW - SECOND))
    yield bench.show("ended and forged", bench.code(forged), "bad_token_signature")
    badly = bench.code(ended)
    yield bench.show("ended and not by its phone", replace(badly, signature=bytes(64)), "token_expired")
    twin = twin_of(bench.code(made_at=NOW + DAY))
    yield bench.show("a twin and too early", twin, "high_s")
    spoilt = replace(twin, payload=twin.payload[:-1] + b"\x00")
    yield bench.show("a high s and a wrong signature", spoilt, "high_s")
    late = bench.code(bench.phone(cti=REVOKED), NOW + DAY, companion=1, challenge=1, cell=FAR_CELL)
    yield bench.show("too early and all that follows", late, "clock_skew")
    along = bench.code(bench.phone(cti=REVOKED), companion=1, challenge=1, cell=FAR_CELL)
    yield bench.show("a companion and all that follows", along, "companion_not_allowed")
    digits = bench.code(bench.phone(cti=REVOKED), challenge=1, cell=FAR_CELL)
    yield bench.show("digits and all that follows", digits, "wrong_challenge")
    far = bench.code(bench.phone(cti=REVOKED), cell=FAR_CELL)
    yield bench.show("a place and revoked", far, "wrong_place")
    yield from _order_of_fields(bench)
    phone = bench.phone(scope=replace(SCOPE, offline_cap=0))
    code = bench.code(phone)
    yield bench.show("let in", code, OK)
    yield bench.show("a replay and no ride left", code, "replay", online=False)
    payload = bench.code(phone).payload
    nowhere = phone.around(phone.token.key({-2: NO_POINT}), payload)
    yield bench.show("a key on no curve and forged", nowhere, "bad_token_signature")
    unsigned = phone.around(phone.token.key({-2: NO_POINT}).header({4: b"none"}), payload)
    yield bench.show("an issuer nobody knows, and forged", unsigned, "untrusted_issuer")


def _order_of_fields(bench: Bench) -> Iterator[Question]:
    """A wrong value and, after it, a wrong length; or the other way round."""
    phone = bench.phone()
    code = bench.code(phone)
    short: dict[Any, Any] = {10: b"ab"}
    for name, changes, expect in (
        ("a time too small", {6: 65535}, "malformed"),
        ("a counter too great", {7: 65536}, "malformed"),
        ("companion 16", {8: 16}, "malformed"),
        ("another label", {9: 0}, "malformed"),
        ("a label after the last", {12: 0}, "malformed"),
        ("digits too great", {11: 10_000}, "wrong_length"),
        ("all that a code can hold", {8: 1, 11: 42}, "wrong_length"),
    ):
        changed = code.body(short | changes).signed(phone.key)
        yield bench.show(f"{name} and a short cell", changed, expect)
    late = replace(code.body({11: 10_000}).signed(phone.key), signature=b"short")
    yield bench.show("digits too great and a short signature", late, "malformed")
    bare = code.body(short).header({13: 5}).signed(phone.key)
    yield bench.show("no token and a short cell", bare, "malformed")
    for name, token, expect in (
        ("a short kid and exp too small", phone.token.header({4: b"kid"}).body({4: 65535}), "wrong_length"),
        ("exp too small and a short cti", phone.token.body({4: 65535, 7: b"short"}), "malformed"),
        ("a short cti and no key", phone.token.body({7: b"short", 8: {}}), "wrong_length"),
        ("a sign that is none and a short x", phone.token.key({-3: 1, -2: b"x"}), "malformed"),
        ("another kind of key and a short x", phone.token.key({1: 1, -2: b"x"}), "malformed"),
        ("another curve and a short x", phone.token.key({-1: 2, -2: b"x"}), "malformed"),
        ("a short x and a short scope", phone.token.key({-2: b"x"}).body({9: 0}), "wrong_length"),
    ):
        yield bench.show(name, phone.around(phone.issued(token), code.payload), expect)


def _odd_lists(bench: Bench, newer: bytes) -> Iterator[Question]:
    """Lists that the root signed, and that nobody can use."""
    header, _, payload, _ = cbor_decode(newer)
    fields = cbor_decode(payload)
    rows = fields[4]
    row = rows[0]
    numbers = {"version": 1, "issued-at": 2, "end": 3}
    odd_fields: list[tuple[str, Any]] = [
        (f"no {name}", {k: v for k, v in fields.items() if k != label}) for name, label in numbers.items()
    ]
    odd_fields += [
        (f"the {name} is {value!r}", fields | {label: value})
        for name, label in numbers.items()
        for value in (-1, "9", None, True, 2**64 - 1, 253402300800 if label > 1 else 2**53)
    ]
    odd_fields += [
        ("no keys", {k: v for k, v in fields.items() if k != 4}),
        ("keys as a map", fields | {4: {0: row}}),
        ("a field too many", fields | {6: 0}),
        ("an array of the fields", list(fields.values())),
        ("a key twice", fields | {4: [*rows, row]}),
        ("a key as a map", fields | {4: [dict(zip(range(7), row, strict=True))]}),
        ("a key without its status", fields | {4: [row[:6]]}),
        ("a key with one thing more", fields | {4: [[*row, 0]]}),
    ]
    odd_fields += [
        (f"a key's {name} is {value!r}", fields | {4: [[*row[:place], value, *row[place + 1 :]]]})
        for place, name, values in (
            (0, "id", (b"kid", b"kid of six", "kid1", None)),
            (1, "issuer", (b"one", 1, None)),
            (2, "public key", (bytes(31), bytes(33), "k" * 32, None)),
            (3, "beginning", (-1, b"", 253402300800)),
            (4, "end", (-1, "", 253402300800)),
            (5, "products", (1 << 9, -1, ("metro",))),
            (6, "status", (3, -1, "active")),
        )
        for value in values
    ]
    for name, said in odd_fields:
        body = Message(header, cbor_encode(said)).signed(bench.root)
        yield bench.use_list(f"signed: {name}", body.data, LIST_REFUSED)
