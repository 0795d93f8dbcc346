"""Two verifiers, written apart, in two languages: they pass the same kit, and agree on whatever they are shown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gate.second import second, second_verifier
from hansa.codes import PREFIX, REASONS, base45_encode, cbor_encode
from hansa.codes.cose import bstr
from hansa.gate import OK, conformance
from hansa.gate.conformance.bench import CELL, NOW, SCOPE, Bench
from hansa.gate.conformance.drafts import Message, text_of
from hansa.gate.conformance.runner import Program
from hansa.gate.verifier import Verifier

__all__ = ["second"]

BENCH = Bench(99)
PHONE = BENCH.phone(scope=replace(SCOPE, companions=3))
GOOD = PHONE.code(NOW, counter=300, cell=CELL, companion=2, challenge=77)
NUMBERS = count(1)

many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Show = Callable[[str], str]


def test_it_passes_the_whole_kit() -> None:
    for seed in (1, 2):
        report = conformance.run(second_verifier(), conformance.questions(seed), timeout_s=60)

        assert report.broke_off == ""
        assert [(wrong.question.case, wrong.answer) for wrong in report.wrong] == []
        assert report.conforms


@pytest.fixture(scope="module")
def show(second: Program) -> Show:
    """Show a text to both; what both say. Each is a fresh gate at first, and both remember."""
    first = Verifier()

    def ask(question: conformance.Question) -> str:
        ours = first.answer(question.ask)
        theirs = second.ask(next(NUMBERS), question, 60)
        assert (theirs, question.ask) == (ours, question.ask)
        return ours

    assert ask(BENCH.gate()) == OK
    return lambda text: ask(BENCH.show("fuzz", text, "", challenge="0077"))


def test_they_agree_on_a_good_code(show: Show) -> None:
    assert show(text_of(PHONE.code(NOW, counter=1, cell=CELL, challenge=77))) == OK
    assert show(text_of(GOOD)) == OK
    assert show(text_of(GOOD)) == "replay"


LETTERS = st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


@given(
    st.text(max_size=40)
    | st.text(LETTERS, max_size=60).map(PREFIX.__add__)
    | st.text(max_size=40).map(PREFIX.__add__)
    | st.from_regex(r"HR.:.{0,5}")
)
@example("HR1:\u2028")
@example("HR1:\ud800")
@example("HR\n:")
@many
def test_they_agree_on_any_text(show: Show, text: str) -> None:
    assert show(text) in REASONS


@given(st.binary(max_size=60))
@many
def test_they_agree_on_any_bytes(show: Show, data: bytes) -> None:
    assert show(PREFIX + base45_encode(data)) in REASONS


# CBOR as anybody may write it: any head, with any length, around anything.
HEADS = st.tuples(st.integers(0, 255).map(lambda byte: bytes((byte,))), st.binary(max_size=8)).map(b"".join)
WELL_FORMED: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=70) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.integers(-3, 14) | st.binary(max_size=3) | st.text(max_size=3), inner, max_size=4),
    max_leaves=9,
)  # fmt: skip
PIECES = HEADS | WELL_FORMED.map(cbor_encode) | st.binary(max_size=4)


@given(st.lists(PIECES, max_size=12).map(b"".join))
@many
def test_they_agree_on_whatever_looks_like_cbor(show: Show, data: bytes) -> None:
    assert show(text_of(data)) in REASONS


@given(st.data())
@many
def test_they_agree_on_a_good_code_cut_and_pasted(show: Show, data: st.DataObject) -> None:
    changed = GOOD.data
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(changed))] * 2)))
        changed = changed[:start] + data.draw(PIECES | st.just(changed[start:end] * 2)) + changed[end:]

    assert show(text_of(changed)) in REASONS


LABELS = st.integers(-4, 15) | st.sampled_from([33, 256, "kid", b"\x04"])
VALUES = WELL_FORMED | st.integers(-2, 70_000) | st.binary(min_size=3, max_size=8)


@given(
    payload=st.lists(st.tuples(LABELS, VALUES), max_size=2),
    header=st.lists(st.tuples(LABELS, VALUES), max_size=1),
    claims=st.lists(st.tuples(LABELS, VALUES), max_size=2),
    token_header=st.lists(st.tuples(LABELS, VALUES), max_size=1),
    key=st.lists(st.tuples(LABELS, VALUES | st.binary(min_size=32, max_size=32)), max_size=2),
    unprotected=st.just(b"\xa0") | st.just(b"\xa0") | PIECES,
)
@many
def test_they_agree_on_codes_with_odd_values_signed_by_the_right_keys(
    show: Show, payload: Any, header: Any, claims: Any, token_header: Any, key: Any, unprotected: bytes
) -> None:
    token = PHONE.issued(PHONE.token.key(dict(key)).body(dict(claims)).header(dict(token_header)))
    code = PHONE.around(token, GOOD.body(dict(payload)).payload)
    if header:
        code = code.header(dict(header)).signed(PHONE.key)

    assert show(text_of(replace(code, unprotected=unprotected))) in {OK, *REASONS}


@given(st.binary(min_size=64, max_size=64) | st.integers(0, 511), st.booleans())
@many
def test_they_agree_on_signatures(show: Show, signature: bytes | int, of_token: bool) -> None:
    message = PHONE.token if of_token else GOOD
    if isinstance(signature, int):
        flipped = bytearray(message.signature)
        flipped[signature // 8] ^= 1 << signature % 8
        signature = bytes(flipped)
    spoilt = replace(message, signature=signature)
    code = PHONE.around(spoilt, GOOD.payload) if of_token else spoilt

    assert show(text_of(code)) in {"bad_token_signature", "bad_code_signature", "high_s"}


@given(x=st.binary(min_size=32, max_size=32), odd=st.booleans())
@many
def test_they_agree_which_keys_lie_on_the_curve(show: Show, x: bytes, odd: bool) -> None:
    token = PHONE.issued(PHONE.token.key({-2: x, -3: odd}))

    assert show(text_of(PHONE.around(token, GOOD.payload))) in {"malformed", "bad_code_signature"}


@given(
    scope=st.binary(min_size=5, max_size=5), skew=st.integers(-40, 40), cell=st.binary(min_size=3, max_size=3)
)
@many
def test_they_agree_on_scopes_places_and_clocks(show: Show, scope: bytes, skew: int, cell: bytes) -> None:
    token = PHONE.issued(PHONE.token.body({9: scope}))
    made_s = int((NOW + timedelta(seconds=skew)).timestamp())

    assert show(text_of(PHONE.around(token, GOOD.body({6: made_s, 10: cell}).payload))) in {OK, *REASONS}


@given(st.data())
@many
def test_they_agree_on_trust_lists(second: Program, data: st.DataObject) -> None:
    row: list[object] = [b"kid1", "city", bytes(32), 0, 2**31, 1, 0]
    place, value = data.draw(st.tuples(st.integers(0, 6), VALUES | st.binary(min_size=32, max_size=32)))
    row[place] = value
    fields: dict[Any, Any] = {1: 8, 2: 0, 3: 2**32, 4: [row]} | dict(
        data.draw(st.lists(st.tuples(st.integers(0, 5), VALUES), max_size=1))
    )
    header = cbor_encode({1: -8, 3: "application/hansa-trust-list+cbor"})
    body = cbor_encode(fields)
    if data.draw(st.booleans()):
        body = body[: data.draw(st.integers(0, len(body)))] + data.draw(PIECES)
    signed = Message(header, body).signed(BENCH.root)
    wrapped = data.draw(
        st.sampled_from([signed.data, b"\xd2" + signed.data, b"\x84" + bstr(header) + b"\xa0"])
    )
    verifier = Verifier()
    questions = [BENCH.gate(), BENCH.use_list("fuzz", wrapped, "")]

    ours = [verifier.answer(question.ask) for question in questions]
    theirs = [second.ask(next(NUMBERS), question, 60) for question in questions]

    assert theirs == ours
