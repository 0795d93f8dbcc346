"""The processes that are killed: the ledger's engine, and tellers who write down what they send and are told."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hansa import ledger
from hansa.kernel import HansaError
from hansa.store import Context, StoreUnavailable, open_context
from simulator.traffic import Traffic

PACE = ledger.Pace(fold_every_s=0.05, fold_transfers=300, unfolded_max=5_000, wait_s=5)
BIG = 1_100
"""Transfers of a batch so large that its rows go in before its block's turn."""


def log_of(home: Path, number: int) -> Path:
    return home / f"teller-{number}.log"


def traffic_of(seed: int, number: int) -> Traffic:
    return Traffic(f"{seed} teller {number}", big=BIG)


def patient_context(url: str, parent: int) -> Context:
    """A Context, as soon as the database is there."""
    while True:
        try:
            return open_context(url, connections_max=4)
        except HansaError:
            leave_without(parent)
            time.sleep(0.05)


def leave_without(parent: int) -> None:
    """Die with the parent, should that have been killed."""
    if os.getppid() != parent:
        os._exit(3)


def note(home: Path, what: str) -> None:
    """Write down what no caller of the ledger should ever see."""
    with (home / "faults.log").open("a") as faults:
        faults.write(what.replace("\n", " ") + "\n")


# --- the engine


def engine_process(url: str, home: Path, parent: int) -> None:
    """Keep the ledger and release holds whose time is up, until killed."""
    logging.basicConfig(filename=home / "engine.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    while True:
        with patient_context(url, parent) as ctx:
            engine = ledger.Engine(ctx, pace=PACE)
            try:
                engine.start()
            except (ledger.EngineTaken, StoreUnavailable):
                time.sleep(0.02)
                continue
            except Exception as error:
                note(home, f"the engine did not start: {error!r}")
                time.sleep(0.02)
                continue
            while ledger.find_engine(ctx, 0) is engine:
                leave_without(parent)
                time.sleep(0.2)
                try:
                    ledger.expire_pending(ctx, partition=0)
                except HansaError:
                    continue
                except Exception as error:
                    note(home, f"expire_pending: {error!r}")
            note(home, "the engine gave its partition up although it is the only one")


# --- tellers


@dataclass
class Story:
    """What a teller's log tells: answers by batch in order, and the batch whose answer is not there."""

    answers: list[tuple[int, list[str]]] = field(default_factory=list[tuple[int, list[str]]])
    waiting: int | None = None


def read_story(log: Path) -> Story:
    """The log up to its last whole line."""
    story = Story()
    if log.exists():
        text = log.read_text()
        for line in text[: text.rfind("\n") + 1].splitlines():
            word, number, *codes = line.split(" ")
            if word == "sends":
                story.waiting = int(number)
            else:
                story.answers.append((int(number), codes[0].split(",")))
                story.waiting = None
    return story


def batches_of(seed: int, number: int) -> Iterator[tuple[int, list[ledger.Transfer]]]:
    """All batches of a teller, numbered from 1."""
    traffic = traffic_of(seed, number)
    while True:
        made = traffic.batch()
        yield traffic.number, made


def teller_process(url: str, home: Path, parent: int, seed: int, number: int) -> None:
    """Post batch after batch until the stop file is there; what was not answered before a death is posted first."""
    logging.disable()
    log, stop = log_of(home, number), home / "stop"
    story = read_story(log)
    begun = story.waiting or (story.answers[-1][0] + 1 if story.answers else 1)
    _cut_to_whole_lines(log)
    ctx = patient_context(url, parent)
    with log.open("a") as out:
        for count, batch in batches_of(seed, number):
            if count < begun:
                continue
            if stop.exists() and (count != story.waiting or count > begun):
                return
            out.write(f"sends {count}\n")
            out.flush()
            codes = _post_until_answered(ctx, home, parent, batch)
            out.write(f"told {count} {','.join(codes)}\n")
            out.flush()
            time.sleep(0.002 * (count % 7))


def _cut_to_whole_lines(log: Path) -> None:
    if log.exists():
        data = log.read_bytes()
        os.truncate(log, data.rfind(b"\n") + 1)


def _post_until_answered(ctx: Context, home: Path, parent: int, batch: list[ledger.Transfer]) -> list[str]:
    while True:
        leave_without(parent)
        try:
            return [result.code.value for result in ledger.post(ctx, batch)]
        except HansaError as error:
            if error.status < 500:
                note(home, f"post: {error!r}")
        except Exception as error:
            note(home, f"post: {error!r}")
        time.sleep(0.02)
