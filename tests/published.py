"""Published tables that the tests compare with. They are not part of Hansa: where they are missing, tests skip."""

import os
from pathlib import Path

import pytest

HOME = Path(os.environ.get("HANSA_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
"""Named by HANSA_SHARED_DATA, else a folder beside the checkout."""


def published(*parts: str) -> Path:
    """A published file or folder; without it the test is skipped, and says what to set."""
    path = HOME.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"the published {'/'.join(parts)} is not here; name the folder that has it in HANSA_SHARED_DATA"
        )
    return path
