"""Pictures as a gate's camera takes them: a code on a phone, held askew, in grey, 640 x 480, with blur and noise."""

from typing import Any

import numpy as np
import zxingcpp
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480
Grey = NDArray[np.uint8]
Field = NDArray[np.float32]


def modules(text: str) -> Grey:
    """The code's modules with four of white around them, a byte each: 0 dark, 255 light."""
    drawn = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="L")
    return np.array(drawn.to_image(scale=1, add_quiet_zones=True))


def frames(texts: list[str], seed: int = 4) -> list[Grey]:
    """One picture of each code: turned by up to 180 degrees, tilted, 3.5 to 5.5 pixels a module, lit from one side."""
    dice = np.random.default_rng(seed)
    return [_frame(modules(text), dice) for text in texts]


def empty_frames(count: int, seed: int = 5) -> list[Grey]:
    """What the camera sees while nobody shows a code."""
    dice = np.random.default_rng(seed)
    return [_finished(_background(dice), dice) for _ in range(count)]


def _frame(code: Grey, dice: np.random.Generator) -> Grey:
    side = code.shape[0]
    pixels = side * dice.uniform(3.5, 5.5)
    angle = np.deg2rad(dice.choice([0, 90, 180, 270]) + dice.uniform(-20, 20))
    tilt = dice.uniform(-0.18, 0.18, 2)
    middle = np.array([WIDTH, HEIGHT]) / 2 + dice.uniform(-30, 30, 2)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    across, down = (x - middle[0]) / pixels, (y - middle[1]) / pixels
    turned = (
        across * np.cos(angle) + down * np.sin(angle),
        down * np.cos(angle) - across * np.sin(angle),
    )
    depth = 1 + tilt[0] * turned[0] + tilt[1] * turned[1]
    column, row = ((part / depth + 0.5) * side for part in turned)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    picture = _background(dice)
    shown = code[row[inside].astype(np.int32), column[inside].astype(np.int32)]
    picture[inside] = 35 + shown.astype(np.float32) * (175 / 255)
    return _finished(picture, dice)


def _background(dice: np.random.Generator) -> Field:
    coarse = dice.uniform(20, 160, (12, 16)).astype(np.float32)
    return np.kron(coarse, np.ones((HEIGHT // 12, WIDTH // 16), np.float32))


def _finished(picture: Field, dice: np.random.Generator) -> Grey:
    left, right = dice.uniform(0.75, 1.15, 2)
    light = np.linspace(left, right, WIDTH, dtype=np.float32)
    blurred = _blurred(picture * light, dice.uniform(0.5, 1.6))
    noisy: NDArray[Any] = blurred + dice.normal(0, dice.uniform(3, 12), picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _blurred(picture: Field, sigma: float) -> Field:
    places = np.arange(-4, 5)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        picture = np.asarray(
            sum(w * np.roll(picture, int(place), axis) for w, place in zip(weights, places, strict=True)),
            np.float32,
        )
    return picture
