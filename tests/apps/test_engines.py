"""Each partition is kept by one process; when that one dies, another that stood by goes on within seconds."""

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from apps.keeping import Keepers, keepers
from hansa import ledger
from hansa.apps import engines
from hansa.apps.engines import ledger_engines
from hansa.apps.witnessing import log_signer
from hansa.kernel import Directory
from hansa.ledger import Engine
from hansa.store import Context, StoreUnavailable
from ledger.books import Books, a_transfer
from ledger.engines import another_process, post_until_told, stand, terminate_engines, wait_until

SECONDS = 30
"""How long nobody may hold the partition: two seconds, and what a busy machine adds."""


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft")
    return books


# --- other processes


@pytest.fixture
def league(books: Books, tmp_path: Path) -> Generator[Keepers]:
    with keepers(books.ctx.url, tmp_path) as league:
        yield league


def check_nothing_was_lost_or_doubled(books: Books, league: Keepers) -> None:
    """What was acknowledged stands in the books once; of what was not, at most the one that each had under way."""
    told = {name: league.told(name) for name in league.processes}
    for name, answers in told.items():
        assert [one.number for one in answers] == list(range(len(answers)))
        assert {one.code for one in answers} <= {"created", "exists"}
        again = [a_transfer(f"{name} {one.number}", "bank", "ann", 1) for one in answers]
        assert set(post_until_told(books.ctx, again)) == {"exists"}
    acknowledged = sum(map(len, told.values()))
    assert acknowledged <= books.balances()["ann"].credits_posted <= acknowledged + len(told)
    books.verify()


def check_one_held_at_a_time(league: Keepers) -> list[str]:
    """Nobody held the partition between two answers of another who did; gives who held it, in order."""
    held = sorted(
        (one.at_s, name, one.term) for name in league.processes for one in league.told(name) if one.term
    )
    reigns = list(dict.fromkeys((name, term) for _, name, term in held))
    assert [(name, term) for _, name, term in held] == [
        reign for reign in reigns for _ in range(sum(one[1:] == reign for one in held))
    ]
    terms = [term for _, term in reigns]
    assert terms == sorted(set(terms)), "each election is a new one"
    return [name for name, _ in reigns]


@pytest.mark.slow
def test_a_keeper_that_is_killed_is_replaced_within_seconds_and_nothing_acknowledged_is_lost(
    books: Books, league: Keepers, tmp_path: Path
) -> None:
    league.start("first")
    league.wait_for("first", 20, holding=True)
    league.start("second")
    league.wait_for("second", 20, holding=False)

    killed_s = league.kill("first")
    told = league.wait_for("second", 20, holding=True, after_s=killed_s)

    assert told[0].at_s - killed_s < SECONDS
    league.kill("second")
    assert check_one_held_at_a_time(league) == ["first", "second"]
    sign = log_signer(tmp_path / "home")
    with books.ctx.tx() as tx:
        blocks = ledger.list_blocks(tx, limit=10_000)
    signatures = [
        (one.signature, sign(0, one.first + one.transfers, one.root)) for one in blocks if one.signature
    ]
    assert blocks[-1].signature is not None, "the second signs too"
    assert all(kept == ours for kept, ours in signatures), "both sign with the city's one key"
    check_nothing_was_lost_or_doubled(books, league)


@pytest.mark.slow
def test_of_keepers_that_start_at_once_one_holds_the_partition_until_it_is_killed(
    books: Books, league: Keepers
) -> None:
    waiting = ["one", "two", "three"]
    holders: list[str] = []
    league.start(*waiting)

    killed_s = time.monotonic()
    while waiting:
        holders.append(league.wait_for_holder(waiting, after_s=killed_s))
        killed_s = league.kill(holders[-1])
        waiting.remove(holders[-1])

    assert check_one_held_at_a_time(league) == holders
    check_nothing_was_lost_or_doubled(books, league)


@pytest.mark.slow
def test_a_keeper_that_slept_while_another_took_its_place_leaves_it_to_that_one_and_stands_by(
    books: Books, league: Keepers
) -> None:
    league.start("sleeper")
    league.wait_for("sleeper", 20, holding=True)
    league.start("other")
    league.wait_for("other", 1, holding=False)

    league.pause("sleeper")
    terminate_engines(books.ctx)  # as a server does that hears nothing of it any more
    league.wait_for("other", 20, holding=True)
    league.resume("sleeper")
    league.wait_for("sleeper", 20, holding=False)

    assert str(stand(books.ctx)[0]).endswith(f":{league.processes['other'].pid}")
    killed_s = league.kill("other")
    league.wait_for("sleeper", 20, holding=True, after_s=killed_s)
    league.kill("sleeper")
    check_nothing_was_lost_or_doubled(books, league)


# --- this process


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often whether a partition is free, and leaves this process's garbage collector alone."""
    monkeypatch.setattr(engines, "TRY_AGAIN_S", 0.02)
    monkeypatch.setattr(engines, "collect_rarely", lambda: None)


def in_two_partitions(ctx: Context) -> Context:
    return replace(ctx, directory=Directory(partitions=(0, 3) * 2048))


@pytest.mark.usefixtures("soon")
def test_a_partition_that_another_keeps_is_left_to_it_and_taken_up_when_it_stops(books: Books) -> None:
    with another_process(books.ctx) as other:
        theirs = Engine(other)
        theirs.start()
        with ledger_engines(books.ctx):
            time.sleep(0.2)
            assert ledger.find_engine(books.ctx, 0) is None
            assert books.post(a_transfer("handed over", "bank", "ann", 1)) == ["created"]
            assert theirs.figures.transfers == 1

            theirs.stop()

            wait_until(lambda: ledger.find_engine(books.ctx, 0) is not None)
            assert books.post(a_transfer("here", "bank", "ann", 1)) == ["created"]
            ours = ledger.find_engine(books.ctx, 0)
            assert ours is not None and ours.figures.transfers == 1
    books.verify()


@pytest.mark.usefixtures("soon")
def test_every_partition_of_the_directory_is_kept_and_in_the_end_folded_and_given_up(books: Books) -> None:
    ctx = in_two_partitions(books.ctx)
    far = Books(ctx, 3)
    far.open(far_bank="free", far_ann="free")

    with ledger_engines(ctx):
        kept = [ledger.find_engine(ctx, partition) for partition in (0, 3)]
        assert books.post(a_transfer("near", "bank", "ann", 1)) == ["created"]
        assert far.post(a_transfer("far", "far_bank", "far_ann", 1, partition=3)) == ["created"]

    assert [one.figures.transfers for one in kept if one is not None] == [1, 1]
    assert [ledger.find_engine(ctx, partition) for partition in (0, 3)] == [None, None]
    assert [stand(ctx, partition) for partition in (0, 3)] == [(None, 1, 1)] * 2
    books.verify()


class Unwell(Engine):
    """An engine that does not start, in one way or another, in one partition."""

    faults: list[BaseException]

    def start(self) -> None:
        if self.partition == 3 and self.faults:
            raise self.faults.pop(0)
        super().start()


@pytest.mark.usefixtures("soon")
def test_a_start_that_fails_in_one_partition_gives_the_others_up(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = in_two_partitions(books.ctx)
    monkeypatch.setattr(ledger, "Engine", Unwell)
    monkeypatch.setattr(Unwell, "faults", [StoreUnavailable()], raising=False)

    with pytest.raises(StoreUnavailable), ledger_engines(ctx):
        pass

    assert ledger.find_engine(ctx, 0) is None
    assert stand(ctx)[0] is None


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("fault", [StoreUnavailable(), psycopg.errors.CheckViolation("zero_sum")])
def test_who_stands_by_tries_again_whatever_went_wrong(
    books: Books, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    ctx = in_two_partitions(books.ctx)
    monkeypatch.setattr(ledger, "Engine", Unwell)
    monkeypatch.setattr(Unwell, "faults", [ledger.EngineTaken(), fault], raising=False)

    with ledger_engines(ctx):
        wait_until(lambda: ledger.find_engine(ctx, 3) is not None)

    assert [stand(ctx, partition)[0] for partition in (0, 3)] == [None, None]
