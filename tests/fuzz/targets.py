"""What is fuzzed, and what must never happen.

Each target takes bytes and makes of them whatever it tries. It raises AssertionError for a false accept: something is
taken that is not, byte for byte, what our own writer would write, or what an honest key signed. Any other error than
the one that the function promises is a crash.
"""

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any

import cbor2

from fuzz.dice import Dice
from fuzz.forger import (
    BENCH,
    DIGITS,
    HONEST,
    HONEST_TEXTS,
    OTHER,
    OWNER,
    TRUSTED,
    forged_text,
    odd_value,
    signed_list,
    signed_text,
    spoilt,
)
from hansa.codes import (
    PREFIX,
    CodeRefused,
    DenyListRefused,
    MalformedCbor,
    NotCanonical,
    Settings,
    SettingsRefused,
    TrustListRefused,
    VerifiedCode,
    base45_decode,
    base45_encode,
    cbor_decode,
    cbor_encode,
    deny_update,
    make_code,
    make_token,
    read_deny_update,
    read_settings,
    read_trust_list,
    sign_deny_update,
    sign_settings,
    sign_trust_list,
    verify_code,
)
from hansa.codes.cose import check_eddsa, read_sign1, to_be_signed, write_sign1
from hansa.codes.lists import DENY_LIST_TYPE, SETTINGS_TYPE, TRUST_LIST_TYPE
from hansa.codes.ride import TOKEN_LENGTH, _fault, _read_token, _token, code_text, read_code
from hansa.gate.conformance.bench import CELL, NOW
from hansa.gate.verifier import Verifier
from hansa.kernel import InvalidInput

TEXT_MAX = 1500
LIST_PUBLIC, ROOT_PUBLIC = BENCH.list_key.public_key(), BENCH.root.public_key()
DENIED = deny_update(9, 4, NOW, [(bytes((n,)) * 8, NOW + n * timedelta(hours=1)) for n in range(1, 6)])
SET = Settings("kit/a", 5, NOW, {"offline_after_s": 900, "words": {"ok": "Bitte"}, "challenge": None})
TRUST_BYTES = sign_trust_list(TRUSTED, BENCH.root)
DENY_BYTES = sign_deny_update(DENIED, BENCH.list_key)
SETTINGS_BYTES = sign_settings(SET, BENCH.list_key)


def fields_of(message: bytes) -> dict[int, Any]:
    """The payload of one of our own lists."""
    return cbor_decode(cbor_decode(message)[2])


# -- decoders ---------------------------------------------------------------------------------------------------


def base45(data: bytes) -> None:
    """Any text, and any bytes: one text for any bytes, and no other is read."""
    assert base45_decode(base45_encode(data)) == data
    text = data.decode("latin-1")
    try:
        read = base45_decode(text)
    except InvalidInput:
        return
    assert base45_encode(read) == text


def cbor(data: bytes) -> None:
    """Any bytes: what is read is written again as it was, and a general decoder reads the same."""
    try:
        value = cbor_decode(data)
    except (MalformedCbor, NotCanonical):
        return
    assert cbor_encode(value) == data
    # Written with their types, so that 0 and false, 1 and true do not pass for each other.
    assert repr(cbor2.CBORDecoder(BytesIO(data)).decode()) == repr(value)


def cbor_values(data: bytes) -> None:
    """Any value of our kind, and its bytes spoilt: read back alike, and never two writings of one value."""
    dice = Dice(data)
    value = odd_value(dice)
    written = cbor_encode(value)
    assert repr(cbor_decode(written)) == repr(_sorted(value))
    cbor(spoilt(dice, written))


def _sorted(value: Any) -> Any:
    return cbor2.loads(cbor_encode(value)) if isinstance(value, dict | list) else value


def cose(data: bytes) -> None:
    """Any bytes: a message that is read is written again as it was."""
    try:
        message = read_sign1(data)
        message.header()
    except (MalformedCbor, NotCanonical):
        return
    again = write_sign1(message.protected, message.payload, message.signature)
    untagged = data[1:] if data[:1] == b"\xd2" else data
    assert (again == untagged) == (message.unprotected == {})


def token(data: bytes) -> None:
    """An honest token with bytes changed: what the layout takes is written again as it was."""
    dice = Dice(data)
    honest = dice.one_of((OWNER, OTHER)).token.data
    changed = bytearray(honest)
    for _ in range(dice.number(3) + 1):
        changed[dice.number(TOKEN_LENGTH - 1)] = dice.number(255)
    parts = _read_token(bytes(changed))
    if parts is not None:
        assert _token(parts.kid, parts.claims, parts.signature) == changed


def code(data: bytes) -> None:
    """Any bytes as a code: the layout and the strict decoder take the same ones, and each has one text."""
    text = PREFIX + base45_encode(data)
    fault = _fault(data)
    parts, refused = None, None
    try:
        parts = read_code(text)
    except CodeRefused as refusal:
        refused = refusal.reason
    if parts is None:
        assert refused == fault or len(text) > TEXT_MAX, (refused, fault)
        return
    assert (_read_token(parts.token) is not None) == (fault is None), fault
    assert code_text(parts.token, parts.payload, parts.signature) == text


def spoilt_code(data: bytes) -> None:
    """An honest code spoilt: as any bytes."""
    dice = Dice(data)
    code(spoilt(dice, dice.one_of(HONEST).data))


# -- what the league signs ----------------------------------------------------------------------------------------


def trust_list(data: bytes) -> None:
    """Lists in the root's hands or not: what is taken is what the root would sign, byte for byte."""
    dice = Dice(data)
    made, honest_hands = signed_list(dice, TRUST_LIST_TYPE, _fields()["trust"], BENCH.root)
    try:
        read = read_trust_list(made, ROOT_PUBLIC)
    except TrustListRefused:
        return
    assert sign_trust_list(read, BENCH.root) == made
    assert honest_hands or made == TRUST_BYTES


def deny_list(data: bytes) -> None:
    """Updates of the deny list likewise."""
    dice = Dice(data)
    made, honest_hands = signed_list(dice, DENY_LIST_TYPE, _fields()["deny"], BENCH.list_key)
    try:
        read = read_deny_update(made, LIST_PUBLIC)
    except DenyListRefused:
        return
    assert sign_deny_update(read, BENCH.list_key) == made
    assert honest_hands or made == DENY_BYTES


def settings(data: bytes) -> None:
    """Settings likewise; their JSON may be written in many ways."""
    dice = Dice(data)
    made, honest_hands = signed_list(dice, SETTINGS_TYPE, _fields()["settings"], BENCH.list_key)
    try:
        read = read_settings(made, LIST_PUBLIC, device_id="kit/a")
    except SettingsRefused:
        return
    header, unprotected, payload, signature = cbor_decode(made)
    assert unprotected == {}
    assert check_eddsa(LIST_PUBLIC, signature, to_be_signed(header, payload))
    said = cbor_decode(payload)
    assert list(said) == [1, 2, 3, 4]
    assert said[1] == read.version
    assert said[3] == read.device_id == "kit/a"
    assert json.loads(said[4]) == read.values
    assert honest_hands or made == SETTINGS_BYTES


@cache
def _fields() -> Mapping[str, dict[int, Any]]:
    return {
        "trust": fields_of(TRUST_BYTES),
        "deny": fields_of(DENY_BYTES),
        "settings": fields_of(SETTINGS_BYTES),
    }


# -- the whole verifier -------------------------------------------------------------------------------------------


def verify_forged(data: bytes) -> None:
    """Whatever is made without an honest key: only what was honest is taken."""
    text = forged_text(Dice(data))
    if _verified(text) is not None:
        assert text in HONEST_TEXTS, f"a forged code was taken: {text}"


def verify_signed(data: bytes) -> None:
    """Whatever the honest keys can be made to sign: taken only in the one layout."""
    text = signed_text(Dice(data))
    said = _verified(text)
    if said is not None:
        assert text in _rewritten(said), f"a code of another layout was taken: {text}"


def _verified(text: str) -> VerifiedCode | None:
    for digits in (None, DIGITS):
        try:
            return verify_code(
                text,
                TRUSTED,
                now=NOW,
                product="metro",
                denied=lambda _: False,
                challenge=digits,
                place=CELL,
            )
        except CodeRefused:
            continue
    return None


def _rewritten(said: VerifiedCode) -> set[str]:
    """The texts that phones of ours would show to say this: their signatures are deterministic."""
    texts: set[str] = set()
    for phone in (OWNER, OTHER):
        token = make_token(
            phone.issuer,
            kid=said.kid,
            cti=said.cti,
            expires_at=said.token_expires_at,
            device_key=phone.key.public_key(),
            scope=said.scope,
        )
        for digits in (None, DIGITS):
            ride: dict[str, Any] = {"counter": said.counter, "cell": said.cell, "companion": said.companion}
            texts.add(make_code(phone.key, token, made_at=said.made_at, challenge=digits, **ride))
    return texts


# -- the two verifiers, in Python and in JavaScript ---------------------------------------------------------------

BATCH = 64


class Second:
    """The second verifier as a process that lives on; questions go to it in batches."""

    def __init__(self, program: list[str]) -> None:
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._waiting: list[dict[str, Any]] = []
        self.asked = 0

    def ask(self, question: dict[str, Any]) -> None:
        """Ask it with the next batch. Errors: AssertionError where the two do not agree on something asked."""
        if not self._waiting:
            self._waiting.append(BENCH.gate().ask)
        self._waiting.append(question)
        if len(self._waiting) > BATCH:
            self.compare()

    def compare(self) -> None:
        """Ask what waits, and compare."""
        asked, self._waiting = self._waiting, []
        lines = [json.dumps({"id": number, **question}) + "\n" for number, question in enumerate(asked)]
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("".join(lines).encode())
        stdin.flush()
        first = Verifier()
        ours = [first.answer(question) for question in asked]
        theirs = [json.loads(stdout.readline())["reason"] for _ in asked]
        self.asked += len(asked)
        for question, one, other in zip(asked, ours, theirs, strict=True):
            assert one == other, f"Python says {one}, JavaScript {other}, to {json.dumps(question)}"

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def two_verifiers(second: Second) -> Callable[[bytes], None]:
    """A target that asks both."""

    def ask(data: bytes) -> None:
        dice = Dice(data)
        way = dice.number(5)
        if way == 0:
            made, _ = signed_list(dice, TRUST_LIST_TYPE, _fields()["trust"], BENCH.root)
            second.ask(BENCH.use_list("", made, "").ask)
        elif way == 1:
            made, _ = signed_list(dice, DENY_LIST_TYPE, dict(_fields()["deny"]) | {2: 3}, BENCH.list_key)
            second.ask(BENCH.use_update("", made, "").ask)
        elif way == 2:
            made, _ = signed_list(dice, SETTINGS_TYPE, _fields()["settings"], BENCH.list_key)
            second.ask(BENCH.use_settings("", made, "").ask)
        else:
            text = (forged_text if way == 3 else signed_text)(dice)
            digits = "0077" if dice.number(1) else None
            now: datetime = NOW + timedelta(seconds=dice.number(80) - 40) if dice.number(1) else NOW
            second.ask(BENCH.show("", text, "", now=now, challenge=digits, online=not dice.number(1)).ask)

    return ask


TARGETS: dict[str, Callable[[bytes], None]] = {
    "base45": base45,
    "cbor": cbor,
    "cbor_values": cbor_values,
    "cose": cose,
    "token": token,
    "code": code,
    "spoilt_code": spoilt_code,
    "trust_list": trust_list,
    "deny_list": deny_list,
    "settings": settings,
    "verify_forged": verify_forged,
    "verify_signed": verify_signed,
}
"""All but the one that needs Node."""

SEEDS: dict[str, list[bytes]] = {
    "base45": [b"", b"BB8", b"%69 VD92EX0", b"::", b"GGW", HONEST[0].data],
    "cbor": [HONEST[0].data, HONEST[0].payload, OWNER.token.payload, cbor_encode(_fields()["deny"])],
    "cose": [HONEST[0].data, b"\xd2" + OWNER.token.data, DENY_BYTES],
    "code": [HONEST[0].data, HONEST[-1].data],
}
"""What a fuzzer begins with, for targets that take their bytes as they are."""
