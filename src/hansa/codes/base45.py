"""Base45: bytes as the 45 characters a QR code packs best. Source: RFC 9285."""

import struct

from hansa.kernel import InvalidInput, Problem

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PAIRS = [chr(_ALPHABET[n % 45]) + chr(_ALPHABET[n // 45]) for n in range(45 * 45)]
_SINGLES = [chr(letter) for letter in _ALPHABET]
_NONE = 255
_VALUES = bytes(_ALPHABET.index(byte) if byte in _ALPHABET else _NONE for byte in range(256))


def base45_encode(data: bytes) -> str:
    """The text of these bytes: three characters for two bytes, two for a last odd one."""
    words = struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])
    text = "".join([_PAIRS[word % 2025] + _SINGLES[word // 2025] for word in words])
    return text + _PAIRS[data[-1]] if len(data) % 2 else text


def base45_decode(text: str) -> bytes:
    """The bytes of this text; there is exactly one text for any bytes.

    Errors: InvalidInput for a letter outside the alphabet (small letters are outside), a length no bytes have,
    or three characters worth more than two bytes.
    """
    if not text.isascii() or len(text) % 3 == 1:
        raise _not_base45(text)
    values = text.encode("ascii").translate(_VALUES)
    if _NONE in values:
        raise _not_base45(text)
    whole = len(values) // 3 * 3
    words = [
        low + 45 * middle + 2025 * high
        for low, middle, high in zip(values[0:whole:3], values[1:whole:3], values[2:whole:3], strict=True)
    ]
    try:
        data = struct.pack(f">{len(words)}H", *words)
        return data if whole == len(values) else data + bytes((values[-2] + 45 * values[-1],))
    except (struct.error, ValueError):
        raise _not_base45(text) from None


def _not_base45(text: str) -> InvalidInput:
    return InvalidInput(
        "This is not base45 text.",
        problems=(Problem("text", f"{text[:20]!r} is no base45 of RFC 9285", "Scan or copy it again"),),
    )
