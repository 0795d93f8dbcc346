"""Each check of the verifier is needed: take any one out, or bend it by one, and an answer of the kit changes."""

from collections.abc import Callable
from typing import Any

import pytest

from codes.mutants import Mutant, in_place, mutants_of
from hansa.codes import MalformedCbor, NotCanonical, base45, cbor, cbor_decode, cose, lists, places, ride
from hansa.gate import Gate, conformance
from hansa.gate.verifier import Verifier

ASKED = [question for question in conformance.questions() if not question.case.startswith("spoilt/")]

CHECKED: tuple[Callable[..., Any], ...] = (
    ride.verify_code,
    ride.read_code,
    ride._issuer,
    ride._verify_token,
    ride._scope,
    ride._read_payload,
    ride._read_token,
    ride._fault,
    ride._message,
    ride._device_key,
    ride._map,
    ride._number,
    ride._bytes,
    places.are_near,
    lists.read_trust_list,
    lists.read_deny_update,
    lists.read_settings,
    lists.require_next,
    lists._payload,
    lists._trust_list,
    lists._key,
    lists._is_key,
    lists._group,
    lists._number,
    cose.read_sign1,
    cose.check_es256,
    cose.check_eddsa,
    cose.is_high_s,
    base45.base45_decode,
    cbor.cbor_decode,
    cbor._item,
    cbor._head,
    cbor._array,
    cbor._map,
    Gate.decide,
    Gate._verify,
)

# A change that no input can show, and why: function: what stands there | why it makes no difference.
NO_DIFFERENCE = [
    ("verify_code", "`fresh and tokens", "a token that is known is put into the cache again: slower"),
    ("verify_code", "without `tokens.put(", "nothing is kept: slower"),
    ("verify_code", "without `'malformed'`", "a code outside the layout has a fault; the word is for a bug of ours"),
    ("read_code", "without `'malformed'`", "the same"),
    ("_verify_token", "without `key is None`", "OpenSSL takes any 32 bytes for a key, and verifies nothing by it"),
    ("_read_payload", "never `if len(payload) > _PAYLOAD_MAX`", "what is longer is not what would be written"),
    ("are_near", "without `one == other`", "a cell touches itself: the way for the commonest case"),
    ("check_es256", "never `if len(signature) != 64`", "the layout has 64 bytes there"),
    ("read_deny_update", "never `if payload is None`", "nothing cannot be read either; other words"),
    ("read_settings", "never `if payload is None`", "the same"),
    ("read_trust_list", "never `if payload is None`", "the same"),
    ("read_trust_list", "without `now is not None`", "the kit's gates have clocks"),
    ("read_deny_update", "without `type(fields) is not dict`", "the labels are looked at next"),
    ("read_deny_update", "without `type(fields[4]) is not list`", "each group is looked at next"),
    ("read_deny_update", "without `since > version`", "it begins above the list in use or ends below it"),
    ("read_settings", "without `type(fields) is not dict`", "the labels are looked at next"),
    ("read_settings", "without `type(fields[3]) is not str`", "no device has such a name"),
    ("_trust_list", "never `if type(fields) is not dict", "labels and keys are looked at next"),
    ("_trust_list", "without `type(fields) is not dict`", "the same"),
    ("_trust_list", "without `type(fields[4]) is not list`", "the same"),
]  # fmt: skip

# Bytes | what is read
READ: list[tuple[str, object]] = [
    ("", MalformedCbor),
    ("17", 23),
    ("18", MalformedCbor),
    ("1817", NotCanonical),
    ("1818", 24),
    ("18ff", 255),
    ("1900ff", NotCanonical),
    ("190100", 256),
    ("1901", MalformedCbor),
    ("1a0000ffff", NotCanonical),
    ("1a00010000", 65536),
    ("1a000100", MalformedCbor),
    ("1b00000000ffffffff", NotCanonical),
    ("1b0000000100000000", 2**32),
    ("1bffffffffffffffff", 2**64 - 1),
    ("1c", MalformedCbor),
    ("1d", MalformedCbor),
    ("1e", MalformedCbor),
    ("1f", MalformedCbor),
    ("3f", MalformedCbor),
    ("20", -1),
    ("3bffffffffffffffff", -(2**64)),
    ("40", b""),
    ("4161", b"a"),
    ("41", MalformedCbor),
    ("43616263", b"abc"),
    ("436162", MalformedCbor),
    ("5f", NotCanonical),
    ("5f00", NotCanonical),
    ("60", ""),
    ("6161", "a"),
    ("61", MalformedCbor),
    ("61ff", MalformedCbor),
    ("7f", NotCanonical),
    ("80", []),
    ("8100", [0]),
    ("81", MalformedCbor),
    ("820000", [0, 0]),
    ("9f", NotCanonical),
    ("a0", {}),
    ("a10001", {0: 1}),
    ("a100", MalformedCbor),
    ("a1410001", {b"\0": 1}),
    ("a1610001", {"\0": 1}),
    ("a18000", MalformedCbor),
    ("a1a000", MalformedCbor),
    ("a1f400", MalformedCbor),
    ("a1c00000", MalformedCbor),
    ("a200000000", NotCanonical),
    ("a200000100", {0: 0, 1: 0}),
    ("a201000000", NotCanonical),
    ("bf", NotCanonical),
    ("c0", MalformedCbor),
    ("c000", MalformedCbor),
    ("df", MalformedCbor),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", MalformedCbor),
    ("f0", MalformedCbor),
    ("e0", MalformedCbor),
    ("f97e00", MalformedCbor),
    ("ff", MalformedCbor),
    ("0000", NotCanonical),
    ("8081", NotCanonical),
    ("81" * 8 + "00", [[[[[[[[0]]]]]]]]),
    ("81" * 9 + "00", MalformedCbor),
    ("a100" * 8 + "a0", MalformedCbor),
]


def what_is_read(data: str) -> object:
    try:
        return cbor_decode(bytes.fromhex(data))
    except (MalformedCbor, NotCanonical) as error:
        return type(error)


@pytest.mark.parametrize(("data", "expected"), READ, ids=[data or "nothing" for data, _ in READ])
def test_each_piece_of_cbor_is_read_as_the_specification_says(data: str, expected: object) -> None:
    read = what_is_read(data)

    assert (read, type(read)) == (expected, type(expected))


def what_finds(mutant: Mutant) -> str | None:
    """The first question that a verifier with this change answers wrongly."""
    with in_place(mutant):
        for data, expected in READ:
            if mutant.module is cbor and not answers_as(lambda data=data: what_is_read(data), expected):
                return f"cbor/{data}"
        verifier = Verifier()
        for question in ASKED:
            if not answers_as(lambda question=question: verifier.answer(question.ask), question.expect):
                return question.case
    return None


def answers_as(ask: Callable[[], object], expected: object) -> bool:
    try:
        answer = ask()
    except Exception:
        return False  # a gate that falls over shows the fault as well
    return answer == expected and type(answer) is type(expected)


def is_meant(mutant: Mutant, row: tuple[str, str, str]) -> bool:
    return mutant.function == row[0] and row[1] in mutant.what


@pytest.mark.parametrize("function", CHECKED, ids=[function.__qualname__ for function in CHECKED])
def test_without_any_check_some_answer_is_wrong(function: Callable[..., Any]) -> None:
    unseen = [mutant for mutant in mutants_of(function) if what_finds(mutant) is None]

    assert [mutant.name for mutant in unseen if not any(is_meant(mutant, row) for row in NO_DIFFERENCE)] == []


def test_what_is_said_to_make_no_difference_makes_none() -> None:
    mutants = [mutant for function in CHECKED for mutant in mutants_of(function)]
    meant = {row: [mutant for mutant in mutants if is_meant(mutant, row)] for row in NO_DIFFERENCE}

    assert [row for row, found in meant.items() if not found] == []
    told = {mutant.name: what_finds(mutant) for found in meant.values() for mutant in found}
    assert {name: case for name, case in told.items() if case is not None} == {}


def test_verifiers_are_whole_again_afterwards() -> None:
    verifier = Verifier()

    assert [question.case for question in ASKED if verifier.answer(question.ask) != question.expect] == []
