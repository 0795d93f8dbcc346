"""What the league's list key signs: updates of the deny list, and settings. What must not be taken changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hansa.codes import (
    Settings,
    cbor_decode,
    cbor_encode,
    deny_update,
    sign_deny_update,
    sign_settings,
    sign_trust_list,
)
from hansa.codes.lists import DENY_LIST_TYPE, SETTINGS_TYPE, TRUST_LIST_TYPE
from hansa.gate.conformance.bench import (
    DAY,
    DENY_REFUSED,
    DENY_VERSION,
    LIST_REFUSED,
    NOW,
    REVOKED,
    REVOKED_LATER,
    SECOND,
    SETTINGS_REFUSED,
    Bench,
    Question,
    seconds,
)
from hansa.gate.conformance.drafts import Message, Signer
from hansa.gate.model import OK

_HOUR = seconds(NOW) // 3600 + 20
_LAST_HOUR = 253402300799 // 3600
"""The last full hour of the year 9999."""
_A, _B = b"\x01" * 8, b"\x02" * 8
DEVICE = "kit/a"


def updates(bench: Bench) -> Iterator[Question]:
    """Updates of the deny list: forged, of another kind, with a gap, from before, not in order."""
    yield bench.gate()
    early = NOW - SECOND
    yield bench.deny("nothing new, to a list said at no time", 3, [], since=3, issued_at=early)
    good = deny_update(4, DENY_VERSION, NOW, [(REVOKED_LATER, NOW + DAY)])
    data = sign_deny_update(good, bench.list_key)
    yield from _not_by_the_list_key(bench, data, DENY_LIST_TYPE, bench.use_update, DENY_REFUSED)

    def fields(changes: dict[Any, Any], *, without: int | None = None) -> bytes:
        said = {1: 4, 2: DENY_VERSION, 3: seconds(NOW), 4: [[_HOUR, _A + _B]], **changes}
        return cbor_encode({label: value for label, value in said.items() if label != without})

    for name, payload in (
        ("ids not in order", fields({4: [[_HOUR, _B + _A]]})),
        ("an id twice", fields({4: [[_HOUR, _A + _A]]})),
        ("an id of seven bytes", fields({4: [[_HOUR, _A[:7]]]})),
        ("ids of eight and nine bytes", fields({4: [[_HOUR, _A + _B + b"x"]]})),
        ("an hour without ids", fields({4: [[_HOUR, b""]]})),
        ("hours not in order", fields({4: [[_HOUR, _A], [_HOUR - 1, _B]]})),
        ("an hour twice", fields({4: [[_HOUR, _A], [_HOUR, _B]]})),
        ("an hour of text", fields({4: [["9", _A]]})),
        ("an hour below zero", fields({4: [[-1, _A]]})),
        ("an hour after the year 9999", fields({4: [[_LAST_HOUR + 1, _A]]})),
        ("an hour that no clock has", fields({4: [[2**64 - 1, _A]]})),
        ("ids as text", fields({4: [[_HOUR, "12345678"]]})),
        ("ids one by one", fields({4: [[_HOUR, [_A, _B]]]})),
        ("a group of one", fields({4: [[_HOUR]]})),
        ("a group of three", fields({4: [[_HOUR, _A, 0]]})),
        ("groups as a map", fields({4: {_HOUR: _A}})),
        ("a group as a map", fields({4: [{_HOUR: 0, _A: 0}]})),
        ("no groups at all", fields({}, without=4)),
        ("no version", fields({}, without=1)),
        ("no version to go on from", fields({}, without=2)),
        ("no time", fields({}, without=3)),
        ("a field too many", fields({5: 0})),
        ("a version of bytes", fields({1: b"\x04"})),
        ("a version below zero", fields({1: -1})),
        ("a version past 2^53", fields({1: 2**53})),
        ("a version that is true", fields({1: True})),
        ("a version before the one it goes on from", fields({1: DENY_VERSION - 1})),
        ("a time after the year 9999", fields({3: 253402300800})),
        ("an array", cbor_encode([4, DENY_VERSION, seconds(NOW), []])),
        ("nothing", b""),
        ("a byte after the map", fields({}) + b"\x00"),
        ("a version in two bytes", fields({}).replace(b"\x01\x04", b"\x01\x18\x04", 1)),
    ):
        yield bench.use_update(f"signed: {name}", _signed(bench, DENY_LIST_TYPE, payload).data, DENY_REFUSED)
    yield bench.deny("a gap", 9, [_A], since=8, expect=DENY_REFUSED)
    yield bench.deny("a gap of one", 4, [_A], since=4, expect=DENY_REFUSED)
    yield bench.deny("from before", 2, [_A], since=2, expect=DENY_REFUSED)
    yield bench.deny("an older whole list", 2, [_A], since=0, expect=DENY_REFUSED)
    later = bench.phone(cti=REVOKED_LATER)
    yield bench.show("none of them was taken: a token not revoked yet", bench.code(later), OK)
    yield bench.show("nor another", bench.code(bench.phone(cti=_A)), OK)
    yield bench.show("nor forgotten: a revoked one", bench.code(bench.phone(cti=REVOKED)), "revoked")
    yield bench.use_update("the good one", data, OK)
    yield bench.show("it revokes", bench.code(later), "revoked")
    yield bench.use_update("the same again", data, OK)
    yield bench.deny("nothing new, a minute later", 4, [], since=4, issued_at=NOW + 60 * SECOND)
    yield bench.deny("and again", 4, [], since=4, issued_at=NOW + 60 * SECOND)
    early = NOW + 59 * SECOND
    yield bench.deny("said a second before", 4, [], since=4, issued_at=early, expect=DENY_REFUSED)
    yield bench.deny("the whole list, said before", 4, [_A], since=0, issued_at=early, expect=DENY_REFUSED)
    yield bench.show("which forgot nobody", bench.code(later), "revoked")
    yield bench.deny("begins before what is in use", 6, [_B], since=2, issued_at=early)
    yield bench.show("what is new is taken", bench.code(bench.phone(cti=_B)), "revoked")
    yield bench.show("and nobody forgotten", bench.code(bench.phone(cti=REVOKED)), "revoked")
    yield bench.deny("an older word after a newer", 6, [], since=6, issued_at=early, expect=DENY_REFUSED)
    full = deny_update(
        12, 6, NOW + 90 * SECOND, [(bytes((n,)) * 8, NOW + n * DAY / 24) for n in range(1, 25)]
    )
    yield bench.use_update("a day's hours", sign_deny_update(full, bench.list_key), OK)
    yield bench.show("the first of them", bench.code(bench.phone(cti=_A)), "revoked")
    yield bench.show("the last of them", bench.code(bench.phone(cti=b"\x18" * 8)), "revoked")
    yield bench.show("and one before", bench.code(bench.phone(cti=REVOKED)), "revoked")
    yield bench.show("nobody else", bench.code(), OK)
    yield bench.deny("the whole list", 12, [_A], since=0, issued_at=NOW + 91 * SECOND)
    yield bench.show("takes the place of the one before", bench.code(bench.phone(cti=REVOKED)), OK)
    yield bench.show("and has what it says", bench.code(bench.phone(cti=_A)), "revoked")
    yield from _another_list_key(bench)


def _another_list_key(bench: Bench) -> Iterator[Question]:
    """The key that counts is that of the trust list in use."""
    none = replace(bench.list_of(7), list_key=None)
    yield bench.gate(trust_list=none, about="a gate whose trust list names no list key")
    yield bench.deny("no list key", 4, [_A], since=DENY_VERSION, expect=DENY_REFUSED)
    new_key = bench.mint.issuer("new lists")
    newer = replace(bench.list_of(8), list_key=new_key.public_key().public_bytes_raw())
    yield bench.use_list("a list key that is no key", _with_list_key(bench, b"short"), LIST_REFUSED)
    yield bench.use_list("a list key of text", _with_list_key(bench, "k" * 32), LIST_REFUSED)
    yield bench.use_list("a list key of nothing", _with_list_key(bench, None), LIST_REFUSED)
    yield bench.use_list("a trust list that names another", sign_trust_list(newer, bench.root), OK)
    yield bench.deny("signed by the list key before", 4, [_A], since=DENY_VERSION, expect=DENY_REFUSED)
    update = deny_update(4, DENY_VERSION, NOW, [(_A, NOW + DAY)])
    yield bench.use_update("by the new one, but not whole", sign_deny_update(update, new_key), DENY_REFUSED)
    yield bench.show("the list in use still counts", bench.code(bench.phone(cti=REVOKED)), "revoked")
    whole = deny_update(1, 0, NOW, [(_A, NOW + DAY)])
    yield bench.use_update("whole, by the new one", sign_deny_update(whole, new_key), OK)
    yield bench.show("it revokes as well", bench.code(bench.phone(cti=_A)), "revoked")
    yield bench.show("what the other key said is gone", bench.code(bench.phone(cti=REVOKED)), OK)
    last = deny_update(2**53 - 1, 1, NOW, [])
    yield bench.use_update("the last version that there can be", sign_deny_update(last, new_key), OK)


def settings(bench: Bench) -> Iterator[Question]:
    """Settings of a device: forged, for another, from before, not readable."""
    yield bench.gate()
    values = {"offline_after_s": 900, "words": {"ok": "Bitte gehen Sie"}, "challenge": None}
    data = sign_settings(Settings(DEVICE, 5, NOW, values), bench.list_key)
    yield from _not_by_the_list_key(bench, data, SETTINGS_TYPE, bench.use_settings, SETTINGS_REFUSED)

    def fields(changes: dict[Any, Any], *, without: int | None = None) -> bytes:
        said = {1: 5, 2: seconds(NOW), 3: DEVICE, 4: "{}", **changes}
        return cbor_encode({label: value for label, value in said.items() if label != without})

    for name, payload in (
        ("for another device", fields({3: "kit/b"})),
        ("for a device of a longer name", fields({3: DEVICE + "b"})),
        ("for no device", fields({}, without=3)),
        ("for a device of bytes", fields({3: DEVICE.encode()})),
        ("no version", fields({}, without=1)),
        ("no time", fields({}, without=2)),
        ("no values", fields({}, without=4)),
        ("a field too many", fields({5: 0})),
        ("a version past 2^53", fields({1: 2**53})),
        ("a version below zero", fields({1: -5})),
        ("a time after the year 9999", fields({2: 253402300800})),
        ("values as a map", fields({4: {}})),
        ("values as bytes", fields({4: b"{}"})),
        ("values that are no JSON", fields({4: "{"})),
        ("values with something after them", fields({4: "{} {}"})),
        ("values in single quotes", fields({4: "{'a': 1}"})),
        ("a value that is no number", fields({4: '{"a":NaN}'})),
        ("a list for values", fields({4: "[]"})),
        ("a number for values", fields({4: "1"})),
        ("null for values", fields({4: "null"})),
        ("nothing for values", fields({4: ""})),
        ("a version in two bytes", fields({}).replace(b"\x01\x05", b"\x01\x18\x05", 1)),
        ("a byte after the map", fields({}) + b"\x00"),
    ):
        yield bench.use_settings(
            f"signed: {name}", _signed(bench, SETTINGS_TYPE, payload).data, SETTINGS_REFUSED
        )
    yield bench.use_settings("the good ones, at another device", data, SETTINGS_REFUSED, device="kit/b")
    yield bench.use_settings("the good ones", data, OK)
    yield bench.use_settings("the same again", data, SETTINGS_REFUSED)
    older = sign_settings(Settings(DEVICE, 4, NOW + SECOND, {}), bench.list_key)
    yield bench.use_settings("an older version", older, SETTINGS_REFUSED)
    newer = sign_settings(Settings(DEVICE, 9, NOW, {}), bench.list_key)
    yield bench.use_settings("newer ones, some left out", newer, OK)
    last = sign_settings(Settings(DEVICE, 2**53 - 1, NOW, {}), bench.list_key)
    yield bench.use_settings("the last version that there can be", last, OK)
    yield bench.gate(
        trust_list=replace(bench.list_of(7), list_key=None),
        about="a gate whose trust list names no list key",
    )
    yield bench.use_settings("no list key", data, SETTINGS_REFUSED)


def _not_by_the_list_key(
    bench: Bench, data: bytes, content_type: str, use: Any, refused: str
) -> Iterator[Question]:
    """A good message by another key, or changed on the way, or signed by the right key as something else."""
    header, _, payload, signature = cbor_decode(data)
    message = Message(header, payload, signature)
    signers: tuple[tuple[str, Signer], ...] = (
        ("nobody's key", bench.mint.issuer("nobody")),
        ("an issuer's key", bench.mint.issuer("one")),
        ("the root, which signs trust lists only", bench.root),
    )
    for name, signer in signers:
        yield use(name, message.signed(signer).data, refused)
    yield use("no signature", replace(message, signature=b"").data, refused)
    yield use("a signature of zeros", replace(message, signature=bytes(64)).data, refused)
    for place in (0, 3, len(header), len(data) - 70, len(data) - 1):
        flipped = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        yield use(f"a bit of byte {place} flipped", flipped, refused)
    yield use("cut short", data[:-1], refused)
    yield use("a byte more", data + b"\x00", refused)
    yield use("nothing", b"", refused)
    yield use("COSE tag 18", b"\xd2" + data, refused)
    yield use("an unprotected header", replace(message, unprotected=b"\xa1\x04\x40").data, refused)
    parts = cbor_decode(data)
    for name, other_parts in (
        ("three parts", parts[:3]),
        ("five parts", [*parts, b""]),
        ("a number", 5),
        ("a map", {0: header}),
        ("its payload as text", [header, {}, "payload", signature]),
        ("its header as a map", [{1: -8, 3: content_type}, {}, payload, signature]),
        ("no unprotected header", [header, [], payload, signature]),
    ):
        yield use(name, cbor_encode(other_parts), refused)
    for other in (TRUST_LIST_TYPE, DENY_LIST_TYPE, SETTINGS_TYPE, "text/plain"):
        if other != content_type:
            yield use(f"signed as {other}", _signed(bench, other, payload).data, refused)
    for name, protected in (
        ("no content type", {1: -8}),
        ("another algorithm", {1: -7, 3: content_type}),
        ("a header too many", {1: -8, 3: content_type, 4: b"list"}),
        ("a content type by number", {1: -8, 3: 60}),
    ):
        changed = Message(cbor_encode(protected), payload).signed(bench.list_key)
        yield use(name, changed.data, refused)


def _signed(bench: Bench, content_type: str, payload: bytes) -> Message:
    return Message(cbor_encode({1: -8, 3: content_type}), payload).signed(bench.list_key)


def _with_list_key(bench: Bench, value: object) -> bytes:
    """A trust list of the root whose list key is this."""
    header, _, payload, _ = cbor_decode(sign_trust_list(bench.list_of(8), bench.root))
    changed = cbor_encode(cbor_decode(payload) | {5: value})
    return Message(header, changed).signed(bench.root).data
