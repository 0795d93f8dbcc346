"""The Python client, made anew from the description of this checkout, in a folder of its own."""

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages" / "hansa-client" / "src" / "hansa_client"


def make_client_in(folder: Path) -> Any:
    """The package, imported from this folder."""
    shutil.copytree(PACKAGE, folder / "hansa_client", ignore=shutil.ignore_patterns("made", "__pycache__"))
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        maker: Any = importlib.import_module("make_client")
    finally:
        sys.path.remove(str(ROOT / "tools"))
    maker.make(maker.read_description(), folder / "hansa_client" / "made")
    sys.path.insert(0, str(folder))
    return importlib.import_module("hansa_client")
