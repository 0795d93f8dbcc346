"""Codes that were never made by an honest phone: forged, twisted, written differently, spoilt. All must be refused."""

from collections.abc import Iterator
from dataclasses import replace

from hansa.codes import PREFIX, cbor_decode
from hansa.codes.cose import P256_ORDER, bstr
from hansa.gate.conformance.bench import CELL, NOW, REVOKED, SCOPE, Bench, Question, seconds, twin_of
from hansa.gate.conformance.drafts import Message, text_of
from hansa.gate.gate import Gate
from hansa.gate.model import OK, DenyList, GateIdentity

_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def forged(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    forged = bench.forged(bench.phone())
    yield bench.show("another key under a listed id", bench.code(forged), "bad_token_signature")
    other = bench.phone(kid=bench.kids["two"])
    yield bench.show("the id of another listed issuer", bench.code(other), "bad_token_signature")
    own = bench.phone()
    own.token = own.token.signed(own.key)
    yield bench.show("a token that the phone signed itself", bench.code(own), "bad_token_signature")
    owner, thief = bench.phone(), bench.phone()
    stolen = thief.around(owner.token, bench.code(owner).payload)
    yield bench.show("a token of another phone", stolen, "bad_code_signature")
    swapped = bench.code(thief).header({13: cbor_decode(owner.token.data)})
    yield bench.show("a token put in after signing", swapped, "bad_code_signature")
    for name, label, value in (
        ("the time", 6, seconds(NOW) + 1),
        ("the counter", 7, 9),
        ("the place", 10, bytes(3)),
        ("a companion", 8, 1),
        ("digits", 11, 42),
    ):
        changed = bench.code(owner).body({label: value})
        yield bench.show(f"{name} changed after signing", changed, "bad_code_signature")
    by_issuer = bench.code(owner)
    by_issuer = replace(by_issuer, signature=owner.issuer.sign(b"anything"))
    by_issuer = replace(by_issuer, signature=by_issuer.signature[:32] + bytes(32))
    yield bench.show("a signature of another kind", by_issuer, "bad_code_signature")
    low, n = (1).to_bytes(32, "big"), P256_ORDER.to_bytes(32, "big")
    for name, signature in (
        ("r and s are 0", bytes(64)),
        ("r is 0", bytes(32) + low),
        ("s is 0", low + bytes(32)),
        ("r is 1 and s is 1", low + low),
        ("r is n", n + low),
        ("r is as large as can be", b"\xff" * 32 + low),
    ):
        yield bench.show(name, replace(bench.code(owner), signature=signature), "bad_code_signature")
    half = P256_ORDER // 2
    edge = replace(bench.code(owner), signature=low + half.to_bytes(32, "big"))
    yield bench.show("s is half of n", edge, "bad_code_signature")
    edge = replace(edge, signature=low + (half + 1).to_bytes(32, "big"))
    yield bench.show("s is half of n and one", edge, "high_s")
    for name, signature in (("s is n", low + n), ("s is as large as can be", low + b"\xff" * 32)):
        yield bench.show(name, replace(bench.code(owner), signature=signature), "high_s")
    crossed = bench.code(owner)
    r, s = crossed.signature[:32], crossed.signature[32:]
    crossed = replace(crossed, signature=s + (r if r[0] < 0x7F else low))
    yield bench.show("r and s the wrong way round", crossed, "bad_code_signature")
    of_token = replace(bench.code(owner), signature=owner.token.signature[:32] + low)
    yield bench.show("the token's signature under the code", of_token, "bad_code_signature")


def twins(bench: Bench) -> Iterator[Question]:
    """What can be made of a good signature without the key."""
    yield bench.gate()
    phone = bench.phone()
    for number in range(1, 9):
        code = bench.code(phone)
        yield bench.show(f"(r, n - s), {number} of 8", twin_of(code), "high_s")
    code = bench.code(phone)
    token = phone.token
    doubled = int.from_bytes(token.signature[32:], "little") + _ED25519_ORDER
    malleated = replace(token, signature=token.signature[:32] + doubled.to_bytes(32, "little"))
    yield bench.show("the token's s + L", phone.around(malleated, code.payload), "bad_token_signature")
    yield bench.show("and the code itself", code, OK)


def texts(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    good = text_of(bench.code())
    body = good[len(PREFIX) :]
    for name, text, expect in (
        ("nothing", "", "malformed"),
        ("the prefix only", PREFIX, "malformed"),
        ("a part of the prefix", "HR1", "malformed"),
        ("no prefix", body, "malformed"),
        ("small letters", good.lower(), "malformed"),
        ("a small prefix", "hr1:" + body, "malformed"),
        ("a space before", " " + good, "malformed"),
        ("a line end after", good + "\n", "malformed"),
        ("a NUL after", good + "\0", "malformed"),
        ("the prefix twice", PREFIX + good, "malformed"),
        ("suite 2", "HR2:" + body, "unknown_suite"),
        ("suite 0", "HR0:" + body, "unknown_suite"),
        ("suite Z with nothing in it", "HRZ:", "unknown_suite"),
        ("a suite of two letters", "HR10:" + body, "malformed"),
        ("a suite in small letters", "HRa:" + body, "malformed"),
        ("one character too many", good + "0", "malformed"),
        ("the last character lost", good[:-1], "malformed"),
        ("three characters worth more than 65,535", PREFIX + "GGW" + body[3:], "malformed"),
        ("two characters worth more than 255", PREFIX + "::", "malformed"),
        ("a letter outside the alphabet", good[:40] + "_" + good[41:], "malformed"),
        ("a full-width letter", good[:40] + "Ａ" + good[41:], "malformed"),
        ("half a character", good[:40] + "\ud800" + good[41:], "malformed"),
        ("characters of four bytes", PREFIX + "\U0001d7d8" * 300, "malformed"),
        ("1,500 characters", PREFIX + "0" * 1496, "not_canonical"),
        ("1,501 characters", PREFIX + "0" * 1497, "wrong_length"),
        ("1,500 characters outside the alphabet", PREFIX + "\U0001d7d8" * 1496, "malformed"),
        ("50,000 characters", PREFIX + "0" * 50_000, "wrong_length"),
        ("a web address", "https://example.com/ride?code=1", "malformed"),
        ("a payment", "00020101021126", "malformed"),
        ("a health certificate", "HC1:" + body, "malformed"),
    ):
        yield bench.show(name, text, expect)


def not_canonical(bench: Bench) -> Iterator[Question]:
    """Codes that say the right thing in bytes that Hansa would not have written; all signed as they stand."""
    yield bench.gate()
    phone = bench.phone()
    code = bench.code(phone, counter=5)
    head, tail = code.protected, bstr(code.payload) + bstr(code.signature)
    for name, data, expect in (
        ("a byte after the end", code.data + b"\x00", "not_canonical"),
        ("another code after the end", code.data * 2, "not_canonical"),
        ("an array without a length", b"\x9f" + code.data[1:] + b"\xff", "not_canonical"),
        ("the array's length in two bytes", b"\x98\x04" + code.data[1:], "not_canonical"),
        (
            "the array's length in nine bytes",
            b"\x9b" + bytes(7) + b"\x04" + code.data[1:],
            "not_canonical",
        ),
        (
            "the header's length in three bytes",
            b"\x84\x59\x00\x99" + head + b"\xa0" + tail,
            "not_canonical",
        ),
        ("the header in pieces", b"\x84\x5f" + bstr(head) + b"\xff\xa0" + tail, "not_canonical"),
        ("an empty map without a length", b"\x84" + bstr(head) + b"\xbf\xff" + tail, "not_canonical"),
        (
            "an empty map's length in two bytes",
            b"\x84" + bstr(head) + b"\xb8\x00" + tail,
            "not_canonical",
        ),
        (
            "the signature's length in three bytes",
            code.data[:-66] + b"\x59\x00\x40" + code.signature,
            "not_canonical",
        ),
        ("COSE tag 18", b"\xd2" + code.data, "malformed"),
        ("CWT tag 61", b"\xd8\x3d" + code.data, "malformed"),
        ("self-described CBOR", b"\xd9\xd9\xf7" + code.data, "malformed"),
    ):
        yield bench.show(f"code: {name}", data, expect)
    made, cell = code.payload[3:7], CELL
    for name, payload, expect in (
        (
            "a counter in two bytes",
            b"\xa3\x06\x1a" + made + b"\x07\x18\x05\x0a\x43" + cell,
            "not_canonical",
        ),
        (
            "a counter in three bytes",
            b"\xa3\x06\x1a" + made + b"\x07\x19\x00\xff\x0a\x43" + cell,
            "not_canonical",
        ),
        (
            "made-at in nine bytes",
            b"\xa3\x06\x1b" + bytes(4) + made + b"\x07\x05\x0a\x43" + cell,
            "not_canonical",
        ),
        (
            "a label in two bytes",
            b"\xa3\x18\x06\x1a" + made + b"\x07\x05\x0a\x43" + cell,
            "not_canonical",
        ),
        (
            "a time that fits in three bytes",
            b"\xa3\x06\x1a\x00\x00\xff\xff\x07\x05\x0a\x43" + cell,
            "not_canonical",
        ),
        ("an array", b"\x83\x06\x07\x0a", "malformed"),
        ("a number", b"\x06", "malformed"),
        ("nothing", b"", "malformed"),
        ("keys out of order", b"\xa3\x07\x05\x06\x1a" + made + b"\x0a\x43" + cell, "not_canonical"),
        ("a key twice", b"\xa4" + code.payload[1:] + b"\x0a\x43" + cell, "not_canonical"),
        (
            "a key twice with another value",
            b"\xa4\x06\x1a" + made + b"\x07\x05\x07\x06\x0a\x43" + cell,
            "not_canonical",
        ),
        ("the cell in pieces", code.payload[:-4] + b"\x5f\x43" + cell + b"\xff", "not_canonical"),
        ("the cell's length in two bytes", code.payload[:-4] + b"\x58\x03" + cell, "not_canonical"),
        ("a map without a length", b"\xbf" + code.payload[1:] + b"\xff", "not_canonical"),
        ("the map's length in two bytes", b"\xb8\x03" + code.payload[1:], "not_canonical"),
        ("a byte after the map", code.payload + b"\x00", "not_canonical"),
        ("digits in two bytes", b"\xa4" + code.payload[1:] + b"\x0b\x18\x17", "not_canonical"),
        (
            "companion 0 written out",
            b"\xa4\x06\x1a" + made + b"\x07\x05\x08\x00\x0a\x43" + cell,
            "malformed",
        ),
        ("a great number", b"\xa3\x06\x1a" + made + b"\x07\xc2\x41\x05\x0a\x43" + cell, "malformed"),
    ):
        yield bench.show(f"payload: {name}", phone.around(phone.token, payload), expect)
    for name, header, expect in (
        ("alg in two bytes", b"\xa2\x01\x38\x06" + head[3:], "not_canonical"),
        ("alg's label in two bytes", b"\xa2\x18\x01\x26" + head[3:], "not_canonical"),
        ("keys out of order", b"\xa2" + head[3:] + b"\x01\x26", "not_canonical"),
        ("alg twice", b"\xa3\x01\x26\x01\x26" + head[3:], "not_canonical"),
        ("a map without a length", b"\xbf" + head[1:] + b"\xff", "not_canonical"),
        ("a byte after the map", head + b"\x00", "not_canonical"),
        ("the token in a byte string", b"\xa2\x01\x26\x0d" + bstr(phone.token.data), "malformed"),
        ("the token under tag 61", b"\xa2\x01\x26\x0d\xd8\x3d" + phone.token.data, "malformed"),
        ("nothing", b"", "malformed"),
        ("an array", b"\x82\x01\x26", "malformed"),
    ):
        message = Message(header, code.payload).signed(phone.key)
        yield bench.show(f"header: {name}", message, expect)
    token, claims = phone.token, phone.token.payload
    expiry, rest = claims[3:7], claims[7:]
    for name, changed, expect in (
        ("exp in nine bytes", b"\xa4\x04\x1b" + bytes(4) + expiry + rest, "not_canonical"),
        (
            "an exp that fits in three bytes",
            b"\xa4\x04\x1a\x00\x00\xff\xff" + rest,
            "not_canonical",
        ),
        ("an array", b"\x84\x04\x07\x08\x09", "malformed"),
        ("exp twice", b"\xa5\x04\x1a" + expiry + b"\x04\x1a" + expiry + rest, "not_canonical"),
        ("exp as a float", b"\xa4\x04\xfb\x41\xda\xbf\x00\x00\x00\x00\x00" + rest, "malformed"),
        ("exp as a date of tag 1", b"\xa4\x04\xc1\x1a" + expiry + rest, "malformed"),
        ("keys out of order", b"\xa4" + rest + b"\x04\x1a" + expiry, "not_canonical"),
        (
            "the cti's length in two bytes",
            b"\xa4\x04\x1a" + expiry + b"\x07\x58\x08" + rest[2:],
            "not_canonical",
        ),
        (
            "the key's map without a length",
            claims.replace(b"\xa1\x01\xa4", b"\xbf\x01\xa4").replace(b"\x09\x45", b"\xff\x09\x45"),
            "not_canonical",
        ),
        ("a byte after the map", claims + b"\x00", "not_canonical"),
    ):
        spoilt = replace(token, payload=changed).signed(phone.issuer)
        yield bench.show(f"claims: {name}", phone.around(spoilt, code.payload), expect)
    for name, data in (
        ("an array without a length", b"\x9f" + token.data[1:] + b"\xff"),
        ("the array's length in two bytes", b"\x98\x04" + token.data[1:]),
        ("the header's length in two bytes", b"\x84\x58\x09" + token.data[2:]),
    ):
        yield bench.show(f"token: {name}", phone.around(data, code.payload), "not_canonical")
    kid = bench.kids["one"]
    spoilt = Message(b"\xa2\x01\x27\x04\x58\x04" + kid, claims).signed(phone.issuer)
    yield bench.show(
        "token: the kid's length in two bytes", phone.around(spoilt, code.payload), "not_canonical"
    )
    for name, data, expect in (
        ("a great length", b"\x84\x5b" + b"\xff" * 8, "malformed"),
        ("a great array", b"\x9b" + b"\xff" * 8, "malformed"),
        ("arrays in arrays", b"\x81" * 300, "malformed"),
        ("eight arrays around a long head", b"\x81" * 8 + b"\x18\x17", "not_canonical"),
        ("nine arrays around a long head", b"\x81" * 9 + b"\x18\x17", "malformed"),
        ("maps in maps", b"\xa1\x00" * 300, "malformed"),
        ("maps as keys", b"\xa1" * 300, "malformed"),
        ("arrays without a length in arrays", b"\x9f" * 300, "not_canonical"),
        ("a number", b"\x05", "malformed"),
        ("a text", b"\x66a ride", "malformed"),
        ("a map", b"\xa1\x01\x26", "malformed"),
        ("an empty array", b"\x80", "malformed"),
        ("five parts", b"\x85" + code.data[1:] + b"\x00", "malformed"),
        ("three parts", b"\x83" + code.data[1:-66], "malformed"),
        ("text that is not UTF-8", b"\x84\x62\xc3\x28", "malformed"),
        ("text with half a character", b"\x84\x63\xed\xa0\x80", "malformed"),
        ("a null for a signature", code.data[:-66] + b"\xf6", "malformed"),
        ("undefined", b"\xf7", "malformed"),
        ("an end of nothing", b"\xff", "malformed"),
        ("the first of two faults, malformed", b"\x82\xff\x18\x17", "malformed"),
        ("the first of two faults, not canonical", b"\x82\x18\x17\xff", "not_canonical"),
    ):
        yield bench.show(f"hostile: {name}", data, expect)


def headers(bench: Bench) -> Iterator[Question]:
    yield bench.gate()
    phone = bench.phone()
    code, kid = bench.code(phone), bench.kids["one"]
    for name, unprotected in (
        ("the kid", b"\xa1\x04\x44" + kid),
        ("alg", b"\xa1\x01\x26"),
        ("a certificate", b"\xa1\x18\x21\x44cert"),
        ("an empty text", b"\xa1\x60\x60"),
    ):
        yield bench.show(f"unprotected: {name}", replace(code, unprotected=unprotected), "wrong_header")
    for name, label, value in (
        ("crit", 2, [13]),
        ("a content type", 3, 0),
        ("the kid", 4, kid),
        ("a key of its own", -1, bytes(32)),
        ("a header of text", "kid", kid),
    ):
        extra = code.header({label: value})
        yield bench.show(f"protected: {name}", extra.signed(phone.key), "wrong_header")
    for algorithm in (-8, -9, -19, -35, -36, -257, 5, 0, -65537, "ES256", b"\x26", None):
        other = code.header({1: algorithm}).signed(phone.key)
        yield bench.show(f"algorithm {algorithm!r}", other, "wrong_header")
    for label in (1, 13):
        bare = code.headerless(label).signed(phone.key)
        yield bench.show(f"no header {label}", bare, "wrong_header")

    def around(token: Message) -> Message:
        return phone.around(phone.issued(token), code.payload)

    token, bare, outside = phone.token, b"\xa1\x01\x27", b"\xa1\x04\x44" + kid
    for name, changed in (
        ("the kid in the unprotected header only", replace(token, protected=bare, unprotected=outside)),
        ("the kid in both headers", replace(token, unprotected=outside)),
        ("no kid at all", replace(token, protected=bare)),
    ):
        yield bench.show(f"token: {name}", around(changed), "wrong_header")
    for name, changed in (
        ("self-signed, its key in the header", {-1: bytes(32)}),
        ("self-signed, its certificate in the header", {33: b"cert"}),
        ("ES256", {1: -7}),
        ("Ed25519 by its newer number", {1: -19}),
        ("an algorithm of another suite", {1: -65537}),
        ("no signature at all", {1: 0}),
    ):
        yield bench.show(f"token: {name}", around(token.header(changed)), "wrong_header")


def fields(bench: Bench) -> Iterator[Question]:
    """Values of a wrong type, length or size; signed by the right keys."""
    yield bench.gate()
    phone = bench.phone()
    code = bench.code(phone)

    def around(token: Message) -> Message:
        return phone.around(phone.issued(token), code.payload)

    for label, value, expect in (
        (6, 65535, "malformed"),
        (6, 65536, "clock_skew"),
        (6, 2**32, "malformed"),
        (6, -1, "malformed"),
        (6, b"\x00" * 4, "malformed"),
        (6, True, "malformed"),
        (7, 65536, "malformed"),
        (7, 2**64 - 1, "malformed"),
        (7, -1, "malformed"),
        (7, b"\x00\x05", "malformed"),
        (7, "5", "malformed"),
        (8, 0, "malformed"),
        (8, 16, "malformed"),
        (8, False, "malformed"),
        (8, b"\x01", "malformed"),
        (9, 0, "malformed"),
        (10, b"", "wrong_length"),
        (10, b"ab", "wrong_length"),
        (10, b"four", "wrong_length"),
        (10, "abc", "malformed"),
        (10, None, "malformed"),
        (11, 10_000, "malformed"),
        (11, -1, "malformed"),
        (11, "0042", "malformed"),
        (12, 0, "malformed"),
        ("x", 0, "malformed"),
    ):
        changed = code.body({label: value})
        yield bench.show(f"payload {label!r} is {value!r}", changed.signed(phone.key), expect)
    for label in (6, 7, 10):
        less = code.bodiless(label).signed(phone.key)
        yield bench.show(f"payload without {label}", less, "malformed")
    for length in (0, 63, 65, 128):
        cut = replace(code, signature=(code.signature * 2)[:length])
        yield bench.show(f"a signature of {length} bytes", cut, "wrong_length")
    der = b"\x30\x44\x02\x20" + code.signature[:32] + b"\x02\x20" + code.signature[32:]
    yield bench.show("a signature in DER", replace(code, signature=der), "wrong_length")
    for label, value, expect in (
        (1, "issuer", "malformed"),
        (4, 65535, "malformed"),
        (4, 65536, "token_expired"),
        (4, 2**32, "malformed"),
        (4, -1, "malformed"),
        (5, 0, "malformed"),
        (6, 0, "malformed"),
        (7, b"short", "wrong_length"),
        (7, b"123456789", "wrong_length"),
        (7, "12345678", "malformed"),
        (8, {}, "malformed"),
        (8, {2: b""}, "malformed"),
        (8, {1: b"key"}, "malformed"),
        (8, b"key", "malformed"),
        (8, 5, "malformed"),
        (8, [1], "malformed"),
        (8, {1: 5}, "malformed"),
        (8, {1: [1, -1, -2, -3]}, "malformed"),
        (9, b"less", "wrong_length"),
        (9, b"longer", "wrong_length"),
        (9, "metro", "malformed"),
        (9, b"\x04\x00\x01\x00\x00", "malformed"),
        (9, b"\x00\x02\x01\x00\x00", "malformed"),
        (9, b"\x00\x00\x01\x40\x00", "malformed"),
    ):
        changed = around(phone.token.body({label: value}))
        yield bench.show(f"claim {label} is {value!r}", changed, expect)
    for label in (4, 7, 8, 9):
        yield bench.show(f"no claim {label}", around(phone.token.bodiless(label)), "malformed")
    for label, value, expect in (
        (1, 1, "malformed"),
        (-1, 2, "malformed"),
        (-2, bytes(31), "wrong_length"),
        (-2, bytes(33), "wrong_length"),
        (-3, bytes(32), "malformed"),
        (-3, 1, "malformed"),
        (-4, bytes(32), "malformed"),
        (2, b"id", "malformed"),
        (-2, (1).to_bytes(32, "big"), "malformed"),
        (-2, b"\xff" * 32, "malformed"),
        (
            -2,
            bytes.fromhex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
            "malformed",
        ),
    ):
        changed = around(phone.token.key({label: value}))
        told = value.hex() if isinstance(value, bytes) else value
        yield bench.show(f"the phone's key: {label} is {told}", changed, expect)
    for kid, expect in (
        (b"", "wrong_length"),
        (b"abc", "wrong_length"),
        (b"12345", "wrong_length"),
        ("abcd", "malformed"),
    ):
        yield bench.show(f"the kid is {kid!r}", around(phone.token.header({4: kid})), expect)
    for length in (63, 65):
        cut = replace(phone.token, signature=(phone.token.signature * 2)[:length])
        changed = phone.around(cut, code.payload)
        yield bench.show(f"the token's signature of {length} bytes", changed, "wrong_length")


def spoilt(bench: Bench) -> Iterator[Question]:
    """Two good codes, the smallest and the largest, and whatever chance or a spoilt picture makes of them."""
    yield bench.gate()
    phone = bench.phone(scope=replace(SCOPE, companions=15))
    judge = Gate(
        GateIdentity("kit/judge", "kit", None, "entry", "metro", CELL),
        bench.trust_list,
        deny_list=DenyList(3, frozenset({REVOKED})),
    )

    def spoilt(name: str, changed: bytes | str) -> Question:
        text = changed if isinstance(changed, str) else text_of(changed)
        reason = judge.decide(text, NOW).reason
        assert reason != OK, f"our own gate lets in: {name}"
        return bench.show(name, text, reason)

    small = bench.code(phone, counter=3)
    large = bench.code(phone, counter=300, companion=15, challenge=1234)
    for size, code in (("small", small), ("large", large)):
        data = code.data
        for bit in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            yield spoilt(f"{size} code, byte {bit // 8}, bit {bit % 8} flipped", bytes(flipped))
    data, text = small.data, text_of(small)
    for length in range(len(data)):
        yield spoilt(f"cut to {length} bytes", data[:length])
    for length in range(len(text)):
        yield spoilt(f"cut to {length} characters", text[:length])
    for place in range(len(data)):
        yield spoilt(f"byte {place} lost", data[:place] + data[place + 1 :])
        yield spoilt(f"byte {place} doubled", data[:place] + data[place : place + 1] + data[place:])
    for number in range(400):
        changed = bytearray(data)
        for _ in range(bench.dice.randint(2, 6)):
            changed[bench.dice.randrange(len(changed))] = bench.dice.randrange(256)
        if bytes(changed) != data:
            yield spoilt(f"random change {number + 1}", bytes(changed))
    for number in range(100):
        yield spoilt(f"random bytes {number + 1}", bench.dice.randbytes(bench.dice.randrange(300)))
    yield bench.show("and the small code itself", small, OK)
    yield bench.show("and the large code itself", large, OK, challenge="1234")
