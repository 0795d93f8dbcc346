"""All statements of a window as files: for each member paper, CSV, Parquet and its items; for hundreds at once."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa import clearing, ledger
from hansa.kernel import InvalidInput, Problem
from hansa.reports.items import ItemFiles, ItemForm, PositionFinder, Sides, Summing, Taken, items_in
from hansa.reports.model import check_position
from hansa.reports.statement_pdf import statement_pdf
from hansa.reports.statements import Maker, carry, key_of
from hansa.reports.tables import statement_csv, statement_parquet
from hansa.reports.words import Language
from hansa.store import Context


@dataclass(frozen=True, slots=True)
class WrittenWindow:
    """What was written. items: of the window, each once; lines: of items in all members' files."""

    window_id: str
    folder: Path
    members: int
    items: int
    lines: int


def no_one(_: str, __: int) -> None:
    """Nobody watches."""


def write_statements(
    ctx: Context,
    window_id: str,
    folder: Path,
    *,
    members: Sequence[str] | None = None,
    languages: Sequence[Language] = ("en",),
    item_form: ItemForm | None = "parquet",
    watch: Callable[[str, int], None] = no_one,
) -> WrittenWindow:
    """Write a closed window's statements into a new folder: ``MEMBER.statement.en.pdf``, ``.csv``, ``.parquet``,
    ``MEMBER.items.parquet``.

    The folder appears whole, with every figure checked, or not at all. members: who settle, all unless given.
    item_form: none where no item files are wanted. watch: told of each step and how many it has done.
    Errors: InvalidInput where the folder is there, or a member has no statement of its own; clearing.UnknownWindow,
    NoStatement, FiguresDiffer, TooManyFiles.
    """
    if folder.exists():
        problem = Problem("folder", f"{folder} is there already", "Name a folder that is not there yet")
        raise InvalidInput("Statements are written into a folder of their own.", problems=(problem,))
    carry(ctx, window_id)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        written = _write(ctx, window_id, draft, members, languages, item_form, watch)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return WrittenWindow(window_id, folder, *written)


def _write(
    ctx: Context,
    window_id: str,
    folder: Path,
    members: Sequence[str] | None,
    languages: Sequence[Language],
    item_form: ItemForm | None,
    watch: Callable[[str, int], None],
) -> tuple[int, int, int]:
    with ctx.tx() as tx:
        window = clearing.get_window(tx, window_id)
        positions = clearing.window_positions(tx, window_id)
        maker = Maker(tx, window, positions)
        wanted = maker.members if members is None else list(dict.fromkeys(members))
        strange = sorted(set(wanted) - set(maker.members))
        if strange:
            problem = Problem(
                "members", f"{strange[0]!r} has no statement of this window", "Name who settles"
            )
            raise InvalidInput("Not all of these have a statement of this window.", problems=(problem,))
        sides = Sides.of(positions, wanted)
        sums = Summing()
        count = 0
        with ItemFiles(folder, sides, item_form or "parquet") as files:
            blocks = clearing.window_blocks(tx, window_id)
            for mark in window.watermark:
                finder = PositionFinder(sides.keys, mark.partition)
                taken = Taken(sides.keys, blocks, mark.partition, mark.after_block)
                if taken.after_block is None:
                    continue
                for rows in ledger.read_columns(
                    tx,
                    after_block=taken.after_block,
                    to_block=mark.up_to_block,
                    partition=mark.partition,
                ):
                    items = taken(items_in(rows, finder))
                    sums.add(items)
                    if item_form is not None:
                        files.add(items)
                    count += len(items)
                    watch("items", count)
        by_position = sums.by_position(sides.keys)
        for one in positions:
            check_position(one, by_position.get(key_of(one), ()))
        for number, member_id in enumerate(wanted, 1):
            made = maker.statement(member_id, by_position)
            for language in languages:
                path = folder / f"{member_id}.statement.{language}.pdf"
                path.write_bytes(statement_pdf(made, language))
            (folder / f"{member_id}.statement.csv").write_bytes(statement_csv(made))
            (folder / f"{member_id}.statement.parquet").write_bytes(statement_parquet(made))
            watch("statements", number)
    return len(wanted), count, sum(files.written.values())
