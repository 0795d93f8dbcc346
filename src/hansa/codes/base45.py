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
    # All groups of three at once, each in 3 bytes of one large number: 45 * 2025 < 2**24, so none spills into the
    # next. A loop over the groups was measured at five times the time.
    lanes = (
        _third_bytes(values[0:whole:3])
        + 45 * _third_bytes(values[1:whole:3])
        + 2025 * _third_bytes(values[2:whole:3])
    ).to_bytes(whole, "big")
    if lanes[0::3] != bytes(whole // 3):  # a group worth more than two bytes
        raise _not_base45(text)
    data = bytearray(whole // 3 * 2)
    data[0::2], data[1::2] = lanes[1::3], lanes[2::3]
    if whole < len(values):
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise _not_base45(text)
        data.append(last)
    return bytes(data)


def _third_bytes(values: bytes) -> int:
    """The number whose every third byte, the last among them, is the next of these, and zero between."""
    spread = bytearray(3 * len(values))
    spread[2::3] = values
    return int.from_bytes(spread, "big")


def _not_base45(text: str) -> InvalidInput:
    return InvalidInput(
        "This is not base45 text.",
        problems=(Problem("text", f"{text[:20]!r} is no base45 of RFC 9285", "Scan or copy it again"),),
    )
