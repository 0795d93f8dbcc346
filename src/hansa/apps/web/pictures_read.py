"""Codes out of pictures that a browser without JavaScript sends: opened with care, and never kept."""

import io
import threading
import warnings

import numpy as np
import zxingcpp
from PIL import Image, UnidentifiedImageError

from hansa.kernel import InvalidInput, Problem

BYTES_MAX = 12 * 1024 * 1024
"""What a phone's photograph has at most."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
PIXELS_MAX = 60_000_000
"""Pixels of a photograph in JPEG, which is opened at a fraction of its size."""
PIXELS_MAX_WHOLE = 16_000_000
"""Pixels of any other picture, which takes four bytes for each as it is opened; a phone's screen has five million."""
SIDE_MAX = 20_000
SIDE = 2_000
"""Pixels to which a longer side is shrunk: a code that fills a tenth of it still has enough for each module."""
_ONE_AT_A_TIME = threading.Lock()
"""A picture takes a hundred times its bytes while it is opened: many at once would take the machine's memory."""


def read_picture(data: bytes) -> list[str]:
    """The texts of the QR codes in a picture; none where it has none. Errors: InvalidInput for what is no picture."""
    if not data or len(data) > BYTES_MAX:
        raise _unfit(
            "it is empty" if not data else "it is larger than 12 MB", "Choose a photograph of the code"
        )
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                most = PIXELS_MAX if image.format == "JPEG" else PIXELS_MAX_WHOLE
                if image.width * image.height > most or max(image.size) > SIDE_MAX:
                    raise _unfit("it has more pixels than any camera", "Choose a smaller picture")
                image.draft("L", (SIDE, SIDE))
                grey = image.convert("L")
                grey.thumbnail((SIDE, SIDE))
                pixels = np.asarray(grey)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as fault:
        raise _unfit("it cannot be opened", "Choose a JPEG, PNG or WebP picture") from fault
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise _unfit("it has more pixels than any camera", "Choose a smaller picture") from fault
    found = zxingcpp.read_barcodes(pixels, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return list(dict.fromkeys(one.text for one in found if one.text))


def _unfit(what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This picture cannot be read.", problems=(Problem("picture", what, remedy),))
