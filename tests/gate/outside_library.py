"""Run by an environment that has ``cwt`` and nothing of Hansa: reads tokens and codes as that library does.

In: a JSON array of codes in hex and the issuer's key. Out: for each what the library found in it, or its error.
"""

# pyright: basic, reportMissingImports=false

import json
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cwt import COSE, COSEKey
from cwt import decode as decode_cwt

TAGGED = b"\xd2"
OKP, EC2, ED25519, VERIFY = 1, 2, 6, 2


def read(code: bytes, issuer: dict) -> dict:
    header = cbor2.loads(cbor2.loads(code)[0])
    token = TAGGED + cbor2.dumps(header[13], canonical=True)
    issuer_key = COSEKey.new(
        {
            1: OKP,
            -1: ED25519,
            3: -8,
            4: [VERIFY],
            2: bytes.fromhex(issuer["kid"]),
            -2: bytes.fromhex(issuer["x"]),
        }
    )
    claims = decode_cwt(token, issuer_key)
    # The library takes y in full only; RFC 9053 section 7.1.1 has its sign as well.
    x, y_is_odd = claims[8][1][-2], claims[8][1][-3]
    point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), bytes((2 + y_is_odd,)) + x)
    y = point.public_numbers().y.to_bytes(32, "big")
    phone_key = COSEKey.new({**claims[8][1], -3: y, 3: -7, 4: [VERIFY]})
    protected, unprotected, payload = COSE.new().decode_with_headers(TAGGED + code, phone_key)
    ride = cbor2.loads(payload)
    return {
        "alg": protected[1],
        "unprotected": len(unprotected),
        "exp": claims[4],
        "cti": claims[7].hex(),
        "x": claims[8][1][-2].hex(),
        "scope": claims[9].hex(),
        "made_at": ride[6],
        "counter": ride[7],
        "companion": ride.get(8, 0),
        "cell": ride[10].hex(),
        "challenge": ride.get(11),
    }


def told(code: bytes, issuer: dict) -> dict:
    try:
        return read(code, issuer)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


asked = json.load(sys.stdin)
json.dump([told(bytes.fromhex(code), asked["issuer"]) for code in asked["codes"]], sys.stdout)
