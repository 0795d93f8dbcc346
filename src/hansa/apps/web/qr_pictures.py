"""A QR code as a picture that a page draws itself: no script, no other server."""

from itertools import groupby

import msgspec
import numpy as np
import zxingcpp

QUIET_ZONE = 4
"""Modules of white around a picture (ISO/IEC 18004 section 5.3.8)."""


class Picture(msgspec.Struct, frozen=True):
    """An SVG path in a square of ``size`` modules."""

    size: int
    path: str


def picture_of(text: str, *, level: str = "M") -> Picture:
    """The QR code of a text. level: of error correction, ``L``, ``M``, ``Q`` or ``H``."""
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level=level)
    rows: list[list[int]] = np.array(zxingcpp.write_barcode_to_image(barcode, add_quiet_zones=False)).tolist()
    parts: list[str] = []
    for y, row in enumerate(rows):
        x = QUIET_ZONE
        for shade, modules in groupby(row):
            width = len(list(modules))
            if shade == 0:
                parts.append(f"M{x} {y + QUIET_ZONE}h{width}v1h-{width}z")
            x += width
    return Picture(len(rows) + 2 * QUIET_ZONE, "".join(parts))
