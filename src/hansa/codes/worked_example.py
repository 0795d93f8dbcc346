"""The specification's worked example, every byte explained: ``python -m hansa.codes.worked_example FILE`` writes it.

It is the first of the codes of ``vectors.json`` (`hansa.codes.vectors`), and one with all that a code can hold.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hansa.codes.base45 import base45_decode
from hansa.codes.cose import to_be_signed
from hansa.codes.model import Scope
from hansa.codes.ride import PREFIX, code_payload, code_to_be_signed, make_code, make_token
from hansa.codes.vectors import example_device, example_issuer

_MADE_AT = datetime(2026, 11, 17, 12, 0, 1, tzinfo=UTC)
_Piece = tuple[int, str]

_TOKEN: tuple[_Piece, ...] = (
    (1, "the token: array of 4 (COSE_Sign1, untagged)"),
    (1, "byte string of 9: protected header"),
    (1, "map of 2"),
    (2, "1 (alg): -8, EdDSA"),
    (2, "4 (kid): byte string of 4"),
    (4, "the kid"),
    (1, "unprotected header: empty map"),
    (2, "byte string of 69: the claims"),
    (1, "map of 4"),
    (2, "4 (exp): number of 4 bytes"),
    (4, "{exp}"),
    (2, "7 (cti): byte string of 8"),
    (8, "the cti"),
    (1, "8 (cnf):"),
    (1, "map of 1"),
    (1, "1 (COSE_Key):"),
    (1, "map of 4"),
    (2, "1 (kty): 2, EC2"),
    (2, "-1 (crv): 1, P-256"),
    (3, "-2 (x): byte string of 32"),
    (32, "x"),
    (2, "-3 (y): {y}"),
    (2, "9 (scope): byte string of 5"),
    (1, "companions 0 (high half), class 0 = adult (low half)"),
    (2, "products: bits 0 to 3 = metro, bus, tram, rail"),
    (1, "modes: none set, so all"),
    (1, "offline cap: 8 rides"),
    (2, "byte string of 64: Ed25519 signature of the issuer"),
    (64, "signature"),
)
_HEAD: tuple[_Piece, ...] = (
    (1, "the code: array of 4 (COSE_Sign1, untagged)"),
    (2, "byte string of 153: protected header"),
    (1, "map of 2"),
    (2, "1 (alg): -7, ES256"),
    (1, "13 (kcwt):"),
)
_TAIL: tuple[_Piece, ...] = (
    (2, "byte string of 64: ECDSA signature of the phone, r || s"),
    (32, "r"),
    (32, "s, at most n/2"),
)
_SMALL: tuple[_Piece, ...] = (
    (1, "map of 3"),
    (2, "6 (made-at): number of 4 bytes"),
    (4, "{made}"),
    (2, "7 (counter): 1"),
    (2, "10 (cell): byte string of 3"),
    (3, "the phone does not know where it is"),
)
_LARGE: tuple[_Piece, ...] = (
    (1, "map of 5"),
    (2, "6 (made-at): number of 4 bytes"),
    (4, "{made}"),
    (4, "7 (counter): number of 2 bytes, 300"),
    (2, "8 (companion): 2, the second who rides along"),
    (2, "10 (cell): byte string of 3"),
    (3, "row 0xb8b, column 0xd2c: Beijing"),
    (3, "11 (challenge): number of 1 byte, 42; the gate shows 0042"),
)


def worked_example() -> str:
    """The page, in Markdown."""
    issuer, device = example_issuer("one"), example_device("one")
    token = make_token(
        issuer,
        kid=bytes.fromhex("68727a31"),
        cti=bytes.fromhex("0102030405060708"),
        expires_at=_MADE_AT - timedelta(seconds=1) + timedelta(hours=20),
        device_key=device.public_key(),
        scope=Scope("adult", ("metro", "bus", "tram", "rail"), (), 8),
    )
    text = make_code(device, token, made_at=_MADE_AT, counter=1)
    code = base45_decode(text[len(PREFIX) :])
    payload = code_payload(made_at=_MADE_AT, counter=1, cell=bytes(3))
    large = code_payload(
        made_at=_MADE_AT, counter=300, cell=bytes.fromhex("b8bd2c"), companion=2, challenge=42
    )
    pieces = (
        *_HEAD,
        *_TOKEN,
        (1, "unprotected header: empty map"),
        (1, f"byte string of {len(payload)}: what the phone says"),
        *_SMALL,
        *_TAIL,
    )
    signed = code_to_be_signed(token, payload)
    return "\n".join(
        (
            "# HRC-1: a code, byte by byte",
            "",
            "Made by `python -m hansa.codes.worked_example docs/ride-code/example.md`; a test keeps it true. The keys",
            "are made from public words and belong to nobody. `src/hansa/codes/vectors.json` has this code and five",
            "more, with the phone's private key, to try a phone's program with.",
            "",
            "| what | value |",
            "|---|---|",
            f"| issuer's Ed25519 key | `{issuer.public_key().public_bytes_raw().hex()}` |",
            f"| made at | {_MADE_AT:%Y-%m-%dT%H:%M:%SZ} |",
            f"| the code | {len(code)} bytes |",
            f"| its text | {len(text)} characters: QR version 10 at level L, 11 at level M |",
            "",
            "## The text",
            "```",
            *_lines(text, 100),
            "```",
            "",
            "## The bytes",
            "```",
            *_explained(code, pieces),
            "```",
            "",
            "## What is signed",
            "By the issuer (Sig_structure of RFC 9052 section 4.4, over the token's parts):",
            "```",
            *_explained(
                to_be_signed(token[2:11], token[14:83]),
                (
                    (1, "array of 4"),
                    (11, 'text of 10: "Signature1"'),
                    (1, "byte string of 9: protected header, as it stands in the token"),
                    (9, "it"),
                    (1, "byte string of 0: nothing from outside"),
                    (2, "byte string of 69: the claims, as they stand in the token"),
                    (69, "they"),
                ),
            ),
            "```",
            "By the phone:",
            "```",
            *_explained(
                signed,
                (
                    (1, "array of 4"),
                    (11, 'text of 10: "Signature1"'),
                    (2, "byte string of 153: protected header, the token within"),
                    (153, "it"),
                    (1, "byte string of 0: nothing from outside"),
                    (1, f"byte string of {len(payload)}: what the phone says"),
                    (len(payload), "it"),
                ),
            ),
            "```",
            "",
            "## All that a phone can say",
            "The payload of a companion's code, at a gate that shows digits:",
            "```",
            *_explained(large, _LARGE),
            "```",
            "",
        )
    )


def _explained(data: bytes, pieces: tuple[_Piece, ...]) -> Iterator[str]:
    """Offset, bytes (16 on a line) and meaning of each piece."""
    at = 0
    for length, meaning in pieces:
        piece = data[at : at + length]
        yield f"{at:3}  {piece[:16].hex(' '):<47}  {_filled(meaning, piece)}"
        for more in range(16, length, 16):
            yield f"     {piece[more : more + 16].hex(' ')}"
        at += length
    assert at == len(data), "every byte is explained"


def _filled(meaning: str, piece: bytes) -> str:
    instant = datetime.fromtimestamp(int.from_bytes(piece[:4], "big"), UTC)
    y = "true, y is odd" if piece[-1] == 0xF5 else "false, y is even"
    return meaning.format(exp=f"{instant:%Y-%m-%dT%H:%M:%SZ}", made=f"{instant:%Y-%m-%dT%H:%M:%SZ}", y=y)


def _lines(text: str, width: int) -> Iterator[str]:
    for at in range(0, len(text), width):
        yield text[at : at + width]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(worked_example(), encoding="utf-8")
