"""The ride code: what a phone makes, a gate believes; anything else is refused with a reason."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import segno
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansa.codes import (
    CHALLENGE_MAX,
    CODE_LENGTH_MAX,
    COMPANIONS_MAX,
    MODES,
    NO_PLACE,
    PREFIX,
    PRODUCTS,
    REASONS,
    RIDER_CLASSES,
    TOKEN_LENGTH,
    CodeRefused,
    Scope,
    TokenCache,
    TrustedKey,
    TrustList,
    VerifiedCode,
    are_near,
    base45_decode,
    base45_encode,
    cbor_decode,
    cbor_encode,
    make_code,
    make_token,
    place_cell,
    verify_code,
)
from hansa.codes.cose import EDDSA, ES256, to_be_signed
from hansa.codes.ride import _fault, read_code, scope_bytes
from hansa.codes.vectors import FILE, example_device, example_issuer, vectors
from hansa.codes.worked_example import worked_example
from hansa.kernel import InvalidInput

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ISSUER, DEVICE = example_issuer("one"), example_device("one")
SCOPE = Scope("student", ("metro", "bus", "tram"), ("metro", "bus"), 8)


def trusted(issuer_key: bytes = ISSUER.public_key().public_bytes_raw()) -> TrustList:
    key = TrustedKey(b"kid1", "london-card", issuer_key, NOW - DAY, NOW + DAY, PRODUCTS, "active")
    return TrustList(1, NOW - DAY, NOW + DAY, (key,))


TRUSTED = trusted()


def token(scope: Scope = SCOPE, cti: bytes = b"12345678", device: str = "one") -> bytes:
    return make_token(
        ISSUER,
        kid=b"kid1",
        cti=cti,
        expires_at=NOW + timedelta(hours=20),
        device_key=example_device(device).public_key(),
        scope=scope,
    )


def code(counter: int = 300, made_at: datetime = NOW, cell: bytes = b"abc") -> str:
    return make_code(DEVICE, token(), made_at=made_at, counter=counter, cell=cell)


def verify(
    text: str,
    *,
    tokens: TokenCache | None = None,
    trust_list: TrustList = TRUSTED,
    challenge: int | None = None,
    place: bytes = NO_PLACE,
) -> VerifiedCode:
    return verify_code(
        text,
        trust_list,
        now=NOW,
        product="metro",
        denied=lambda _: False,
        challenge=challenge,
        place=place,
        tokens=tokens,
    )


def reason(text: str, *, challenge: int | None = None, place: bytes = NO_PLACE) -> str:
    try:
        verify(text, challenge=challenge, place=place)
    except CodeRefused as refusal:
        return refusal.reason
    return "ok"


GOOD = code()
GOOD_BYTES = base45_decode(GOOD[len(PREFIX) :])
FULL = make_code(
    DEVICE,
    token(),
    made_at=NOW,
    counter=65535,
    cell=b"abc",
    companion=COMPANIONS_MAX,
    challenge=CHALLENGE_MAX,
)
FULL_BYTES = base45_decode(FULL[len(PREFIX) :])
FORM = {"malformed", "not_canonical", "wrong_header", "wrong_length"}


@given(
    counter=st.integers(0, 65535),
    skew_s=st.integers(-20, 30),
    cell=st.binary(min_size=3, max_size=3),
    rider_class=st.sampled_from(RIDER_CLASSES),
    products=st.sets(st.sampled_from(PRODUCTS)),
    cap=st.integers(0, 255),
)
@settings(max_examples=60, deadline=None)
def test_what_a_phone_makes_a_gate_reads(
    counter: int, skew_s: int, cell: bytes, rider_class: str, products: set[str], cap: int
) -> None:
    scope = Scope(
        rider_class,  # pyright: ignore[reportArgumentType]
        tuple(name for name in PRODUCTS if name in products | {"metro"}),
        (),
        cap,
    )
    made_at = NOW + timedelta(seconds=skew_s)

    text = make_code(DEVICE, token(scope), made_at=made_at, counter=counter, cell=cell)

    assert verify(text) == VerifiedCode(
        issuer_id="london-card",
        kid=b"kid1",
        cti=b"12345678",
        counter=counter,
        made_at=made_at,
        cell=cell,
        scope=scope,
        token_expires_at=NOW + timedelta(hours=20),
    )


@pytest.mark.parametrize("counter", [0, 23, 24, 255, 256, 65535])
def test_a_code_fits_a_small_qr_code(counter: int) -> None:
    text = code(counter)

    assert len(token()) == TOKEN_LENGTH
    assert 238 <= len(base45_decode(text[len(PREFIX) :])) <= 240
    assert len(text) <= 364
    for level, version in (("l", 10), ("m", 11)):
        qr = segno.make(text, error=level, boost_error=False, micro=False)
        assert (qr.mode, qr.version) == ("alphanumeric", version)


@pytest.mark.parametrize("companion", [0, 1, COMPANIONS_MAX])
@pytest.mark.parametrize("challenge", [None, 0, 24, CHALLENGE_MAX])
def test_a_code_with_all_that_may_stand_in_it_is_no_larger(companion: int, challenge: int | None) -> None:
    text = make_code(
        DEVICE, token(), made_at=NOW, counter=65535, cell=b"abc", companion=companion, challenge=challenge
    )

    assert len(base45_decode(text[len(PREFIX) :])) <= CODE_LENGTH_MAX <= 250
    assert segno.make(text, error="l", boost_error=False, micro=False).version == 10


def test_the_layout_is_the_deterministic_cbor_of_the_standards() -> None:
    message = cbor_decode(GOOD_BYTES)
    header, payload = cbor_decode(message[0]), cbor_decode(message[2])
    inner = header[13]
    claims = cbor_decode(inner[2])

    numbers = DEVICE.public_key().public_numbers()
    key = {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: bool(numbers.y % 2)}
    assert (header[1], message[1], inner[1]) == (ES256, {}, {})
    assert cbor_decode(inner[0]) == {1: EDDSA, 4: b"kid1"}
    assert claims == {
        4: int((NOW + timedelta(hours=20)).timestamp()),
        7: b"12345678",
        8: {1: key},
        9: bytes((3, 0, 0b111, 0b11, 8)),
    }
    assert payload == {6: int(NOW.timestamp()), 7: 300, 10: b"abc"}
    assert cbor_encode(inner) == token()
    ISSUER.public_key().verify(inner[3], to_be_signed(inner[0], inner[2]))


def test_the_published_examples_are_up_to_date_and_verify() -> None:
    kept = json.loads(FILE.read_text())

    assert kept == json.loads(json.dumps(vectors())), "run: python -m hansa.codes.vectors"
    for case in kept["codes"]:
        parts = read_code(case["text"])
        assert parts.token.hex() == kept["token_hex"]
        assert (parts.ride.made_s, parts.ride.counter, parts.ride.cell.hex()) == (
            case["made_at"],
            case["counter"],
            case["cell_hex"],
        )
        protected, _, payload, signature = cbor_decode(bytes.fromhex(case["code_hex"]))
        assert protected.hex() == case["protected_hex"]
        assert payload.hex() == case["payload_hex"]
        assert signature.hex() == case["signature_hex"]
        assert to_be_signed(protected, payload).hex() == case["to_be_signed_hex"]


@given(
    st.text() | st.text().map(PREFIX.__add__) | st.binary(max_size=300).map(base45_encode).map(PREFIX.__add__)
)
@example("HR1:" + "A" * 100_000)
@example("HR1:\ud800\ud800\ud800")
@settings(max_examples=300, deadline=None)
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    assert reason(text) in REASONS


@given(st.lists(st.tuples(st.integers(0, 239), st.integers(0, 255)), min_size=1, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_any_change_of_a_good_code_is_refused(changes: list[tuple[int, int]], data: st.DataObject) -> None:
    spoilt = bytearray(GOOD_BYTES)
    for place, byte in changes:
        spoilt[place] = byte
    cut = data.draw(st.sampled_from([0, 0, 0, 1, 64, 100]))
    changed = bytes(spoilt[: len(spoilt) - cut]) + data.draw(
        st.sampled_from([b"", b"", b"\x00", b"\xff" * 9])
    )

    verdict = reason(PREFIX + base45_encode(changed))

    assert verdict in REASONS if changed != GOOD_BYTES else verdict == "ok"


# A value that is no field of ours, for every place in a code.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.binary(max_size=70),
    st.text(max_size=8),
    st.lists(st.integers(0, 30), max_size=4),
    st.dictionaries(st.integers(-3, 14), st.integers(0, 30), max_size=3),
)


@given(
    place=st.sampled_from(["code", "header", "payload", "token", "token header", "claims"]),
    label=st.integers(-3, 14),
    value=ODD,
    drop=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_a_code_with_one_odd_value_is_refused(place: str, label: int, value: object, drop: bool) -> None:
    message = cbor_decode(GOOD_BYTES)
    header, payload = cbor_decode(message[0]), cbor_decode(message[2])
    inner = header[13]
    inner_header, claims = cbor_decode(inner[0]), cbor_decode(inner[2])

    target = {
        "code": message,
        "header": header,
        "payload": payload,
        "token": inner,
        "token header": inner_header,
        "claims": claims,
    }[place]
    if isinstance(target, list):
        target[label % 4] = value
    elif drop:
        target.pop(label, None)
    else:
        target[label] = value
    if place in ("token header", "claims"):
        inner[0], inner[2] = cbor_encode(inner_header), cbor_encode(claims)
    if place not in ("code",):
        message[0], message[2] = cbor_encode(header), cbor_encode(payload)
    changed = cbor_encode(message)

    verdict = reason(PREFIX + base45_encode(changed))

    assert verdict in REASONS if changed != GOOD_BYTES else verdict == "ok"


def test_the_reader_of_places_and_a_reader_of_cbor_agree() -> None:
    """`_fault` reads like any CBOR reader; it finds no fault exactly in what the layout allows."""
    for good in (GOOD_BYTES, FULL_BYTES):
        for bit in range(len(good) * 8):
            flipped = bytearray(good)
            flipped[bit // 8] ^= 1 << bit % 8
            verdict = reason(PREFIX + base45_encode(bytes(flipped)))
            if verdict not in FORM:  # in the layout: any CBOR reader reads it
                assert cbor_encode(cbor_decode(bytes(flipped))) == bytes(flipped)
                assert _fault(bytes(flipped)) is None
            else:
                assert _fault(bytes(flipped)) == verdict


def test_a_token_seen_before_gives_the_same_verdicts() -> None:
    tokens = TokenCache()
    first = verify(code(1), tokens=tokens)

    second = verify(code(2), tokens=tokens)

    assert len(tokens) == 1
    assert (first.cti, second.cti, second.counter) == (b"12345678", b"12345678", 2)
    stranger = trusted(example_issuer("other").public_key().public_bytes_raw())
    with pytest.raises(CodeRefused) as refusal:
        verify(code(3), tokens=tokens, trust_list=stranger)
    assert refusal.value.reason == "bad_token_signature"


def test_a_refused_token_is_not_kept() -> None:
    tokens = TokenCache()
    stranger = trusted(example_issuer("other").public_key().public_bytes_raw())

    with pytest.raises(CodeRefused):
        verify(code(), tokens=tokens, trust_list=stranger)

    assert len(tokens) == 0


def test_a_cache_of_tokens_stays_small() -> None:
    tokens = TokenCache(size_max=2)

    for rider in range(5):
        text = make_code(DEVICE, token(cti=bytes((rider,)) * 8), made_at=NOW, counter=1, cell=bytes(3))
        assert verify(text, tokens=tokens).cti == bytes((rider,)) * 8

    assert len(tokens) == 2


def test_an_unreadable_issuer_key_trusts_nobody() -> None:
    with pytest.raises(CodeRefused) as refusal:
        verify(code(), trust_list=trusted(b"short"))

    assert refusal.value.reason == "bad_token_signature"


@pytest.mark.parametrize(
    ("companion", "challenge", "shown", "verdict"),
    [
        (0, None, None, "ok"),
        (1, None, None, "ok"),
        (2, None, None, "ok"),
        (3, None, None, "companion_not_allowed"),
        (0, 42, 42, "ok"),
        (0, 0, 0, "ok"),
        (0, 42, 43, "wrong_challenge"),
        (0, None, 42, "wrong_challenge"),
        (0, 42, None, "wrong_challenge"),
        (0, None, 0, "wrong_challenge"),
        (2, 9999, 9999, "ok"),
    ],
)
def test_companions_and_digits(
    companion: int, challenge: int | None, shown: int | None, verdict: str
) -> None:
    scope = Scope("adult", ("metro",), (), 8, companions=2)
    text = make_code(DEVICE, token(scope), made_at=NOW, counter=1, companion=companion, challenge=challenge)

    assert reason(text, challenge=shown) == verdict


@pytest.mark.parametrize(
    ("phone", "gate", "verdict"),
    [
        ("000000", "c71cd2", "ok"),
        ("c71cd2", "000000", "ok"),
        ("c71cd2", "c71cd2", "ok"),
        ("c72cd3", "c71cd2", "ok"),
        ("c73cd2", "c71cd2", "wrong_place"),
        ("c71cd4", "c71cd2", "wrong_place"),
        ("800fff", "800000", "ok"),  # the columns close to a ring
        ("800fff", "7ff000", "ok"),
        ("000fff", "fff000", "wrong_place"),  # the rows do not
    ],
)
def test_a_code_made_elsewhere_is_refused(phone: str, gate: str, verdict: str) -> None:
    text = make_code(DEVICE, token(), made_at=NOW, counter=1, cell=bytes.fromhex(phone))

    assert reason(text, place=bytes.fromhex(gate)) == verdict


@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [
        (-90, -180, "000000"),
        (90, 180, "fff000"),
        (0, 0, "800800"),
        (39.9, 116.4, "b8bd2c"),  # Beijing
        (51.5, -0.1, "c937fe"),  # London
        (-33.9, 151.2, "4fceb8"),  # Sydney
    ],
)
def test_a_place_has_its_cell(latitude: float, longitude: float, cell: str) -> None:
    assert place_cell(latitude, longitude).hex() == cell


@given(st.floats(-89, 89), st.floats(-180, 179.9), st.floats(-0.04, 0.04), st.floats(-0.08, 0.08))
def test_places_a_few_kilometres_apart_are_near(lat: float, lon: float, up: float, right: float) -> None:
    assert are_near(place_cell(lat, lon), place_cell(lat + up, lon + right))


@pytest.mark.parametrize("scope", [bytes((4, 0, 1, 0, 0)), bytes((0, 2, 0, 0, 0)), bytes((0, 0, 1, 64, 0))])
def test_a_scope_with_bits_nobody_has_named_is_refused(scope: bytes) -> None:
    message = cbor_decode(GOOD_BYTES)
    header = cbor_decode(message[0])
    inner = header[13]
    claims = cbor_decode(inner[2])
    claims[9] = scope
    inner[2] = cbor_encode(claims)
    inner[3] = ISSUER.sign(to_be_signed(inner[0], inner[2]))
    message[0] = cbor_encode(header)

    assert reason(PREFIX + base45_encode(cbor_encode(message))) == "malformed"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kid": b"abc"}, "kid"),
        ({"cti": b"1234567"}, "cti"),
        ({"expires_at": NOW.replace(tzinfo=None)}, "expires_at"),
        ({"expires_at": datetime(2200, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"device_key": generate_private_key(SECP384R1()).public_key()}, "device_key"),
        ({"scope": Scope("adult", ("spaceship",), (), 0)}, "products"),
        ({"scope": Scope("adult", (), ("entry",), 0)}, "modes"),
        ({"scope": Scope("adult", (), (), 256)}, "offline_cap"),
        ({"scope": Scope("adult", (), (), 0, companions=16)}, "companions"),
        ({"scope": Scope("king", (), (), 0)}, "rider_class"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_token_that_no_gate_could_read_is_not_made(change: dict[str, object], where: str) -> None:
    good: dict[str, object] = {
        "kid": b"kid1",
        "cti": b"12345678",
        "expires_at": NOW,
        "device_key": DEVICE.public_key(),
        "scope": SCOPE,
    }

    with pytest.raises(InvalidInput) as refusal:
        make_token(ISSUER, **{**good, **change})  # pyright: ignore[reportArgumentType]

    assert refusal.value.problems[0].where == where


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"counter": -1}, "counter"),
        ({"counter": 65536}, "counter"),
        ({"cell": b"four"}, "cell"),
        ({"companion": 16}, "companion"),
        ({"companion": -1}, "companion"),
        ({"challenge": 10_000}, "challenge"),
        ({"challenge": -1}, "challenge"),
    ],
)
def test_a_code_that_no_gate_could_read_is_not_made(change: dict[str, object], where: str) -> None:
    good: dict[str, object] = {"made_at": NOW, "counter": 1, "cell": b"abc"}

    with pytest.raises(InvalidInput) as refusal:
        make_code(DEVICE, token(), **{**good, **change})  # pyright: ignore[reportArgumentType]

    assert refusal.value.problems[0].where == where


def test_a_scope_is_five_bytes() -> None:
    everything = Scope("senior", PRODUCTS, MODES, 255)

    assert scope_bytes(everything) == bytes.fromhex("0201ff3fff")
    assert scope_bytes(Scope("senior", ("metro",), (), 0, companions=15)) == bytes.fromhex("f200010000")
    assert everything.allows("bicycle")
    assert not Scope("adult", ("metro",), (), 0).allows("bus")
    assert not Scope("adult", ("metro",), ("bus",), 0).allows("metro")
    assert Scope("adult", ("parking",), ("bus",), 0).allows("parking")


def test_the_worked_example_of_the_specification_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "ride-code" / "example.md"

    assert page.read_text(encoding="utf-8") == worked_example(), (
        "run: python -m hansa.codes.worked_example docs/ride-code/example.md"
    )
    assert json.loads(FILE.read_text())["codes"][0]["text"] in page.read_text(encoding="utf-8").replace(
        "\n", ""
    )


def test_the_specification_names_every_reason() -> None:
    told = (Path(__file__).parents[2] / "docs" / "ride-code" / "verifying.md").read_text(encoding="utf-8")

    assert [name for name in REASONS if f"`{name}`" not in told] == []
