"""Disks so small that a test can fill them."""

import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

SmallDisk = Callable[[int], Path]
"""Makes a disk of so many megabytes and gives its folder; skips the test where only root could."""


@contextmanager
def small_disks() -> Generator[SmallDisk]:
    """What makes small disks; in the end they are gone."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="hansa-disk-"))
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "hansa-test"]
        done = subprocess.run(["mount", *options, folder], check=False, capture_output=True)
        if done.returncode != 0:
            folder.rmdir()
            pytest.skip("a small disk can only be made by root, outside most containers")
        mounted.append(folder)
        return folder

    try:
        yield mount
    finally:
        for folder in mounted:
            subprocess.run(["umount", folder], check=True)
            folder.rmdir()
