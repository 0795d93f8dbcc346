"""The third-party browser files: installed by npm's lock file at set-up, served from where npm put them."""

import os
from pathlib import Path

PACKAGES = ("qr", "zxing-wasm")
"""The npm packages whose files the pages load; nothing else of node_modules is served."""


def find_browser_files() -> Path | None:
    """The ``node_modules`` folder that holds every package the pages load, or None.

    Looks at HANSA_BROWSER_FILES first, then upwards from the working folder, then upwards from this file.
    """
    named = os.environ.get("HANSA_BROWSER_FILES")
    if named:
        return _complete(Path(named))
    here = Path(__file__).resolve().parent
    cwd = Path.cwd().resolve()
    for folder in (cwd, *cwd.parents, *here.parents):
        found = _complete(folder / "node_modules")
        if found is not None:
            return found
    return None


def _complete(folder: Path) -> Path | None:
    return folder if all((folder / package).is_dir() for package in PACKAGES) else None
