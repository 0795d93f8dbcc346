"""What members and auditors are handed of the demonstration's day: statements, and a pack that proves itself.

A folder or a file appears whole; what a kill left of one is thrown away and made anew.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa import reports, trust
from hansa.apps.witnessing import log_signer
from hansa.store import Context


@dataclass(frozen=True, slots=True)
class Handed:
    """What the closing page tells. statements: a folder for each window. proven: all in the pack agrees."""

    statements: tuple[Path, ...]
    papers: int
    pack: Path
    items: int
    steps: int
    proven: bool


def hand_out(ctx: Context, home: Path, windows: Sequence[str], audited: str) -> Handed:
    """Statements of these windows for all who settle, and the audit pack of one, checked without the database."""
    folder = home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    made = tuple(folder / f"statements-{window_id}" for window_id in windows)
    for window_id, one in zip(windows, made, strict=True):
        if not one.exists():
            reports.write_statements(ctx, window_id, one, languages=reports.LANGUAGES)
    signer = log_signer(home)
    pack = reports.audit_pack(
        ctx, audited, folder / f"audit-{audited}.zip", signer, trust.KeyFolder(home / "keys").log()
    )
    checked = reports.check_pack(pack.path, log_keys=[str(signer.verifier_key(0))])
    papers = sum(1 for one in made for _ in one.iterdir())
    proven = all(one.ok is True for one in checked)
    return Handed(made, papers, pack.path, pack.items, len(checked), proven)
