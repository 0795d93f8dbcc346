"""A few seeds of the simulator, and proof that it would find what we fear."""

import dataclasses
from collections.abc import Iterable, Iterator

import pytest

from hansa import ledger
from hansa.kernel import new_id
from hansa.ledger import store
from hansa.ledger.blocks import Sealed
from hansa.payments import Charge
from hansa.payments import model as payments_model
from hansa.store import Context, Tx
from simulator.engine import Codes, Decided, Request, SimulatedEngine
from simulator.league import EngineClass, open_league, simulate

SOON = 25
"""Within so many seeds a planted fault must be found."""


@pytest.fixture
def league(shared_connection: Tx, ctx: Context) -> tuple[Tx, Context]:
    open_league(ctx)
    return shared_connection, ctx


@pytest.mark.parametrize("seed", [3, 44])
def test_a_day_of_misfortune_comes_out_to_the_cent(league: tuple[Tx, Context], seed: int) -> None:
    story = simulate(*league, seed)

    assert story.steps > 300


@pytest.mark.slow
def test_many_days_of_misfortune_come_out_to_the_cent(league: tuple[Tx, Context]) -> None:
    stories = [simulate(*league, seed) for seed in range(1_000, 1_030)]

    happened = {fault for story in stories for fault in story.faults}
    assert {"lost", "doubled", "slow", "a second engine", "engine taken for dead", "died of fate"} <= happened
    assert {
        "died before a commit",
        "died after a commit",
        "cut before a commit",
        "died while folding",
    } <= happened


def test_the_same_seed_tells_the_same_story(league: tuple[Tx, Context]) -> None:
    first, again = (simulate(*league, 5).digest for _ in range(2))

    assert first == again


# --- planted faults


def fails_soon(league: tuple[Tx, Context], engine_class: EngineClass = SimulatedEngine) -> str:
    """What the first seed that fails says; nothing if none of the first seeds does."""
    return next(failures(league, engine_class), "")


def failures(league: tuple[Tx, Context], engine_class: EngineClass) -> Iterator[str]:
    """What each of the first seeds that fails says."""
    for seed in range(1, SOON + 1):
        try:
            simulate(*league, seed, engine_class=engine_class)
        except Exception as error:
            yield f"{type(error).__name__}: {error}"


class AnswersBeforeTheCommit(SimulatedEngine):
    """It is quicker, and wrong whenever it dies in between."""

    def _commit(self) -> None:
        one = self.decided[0]
        for request, codes in one.answers:
            request.done(codes)
        self.decided[0] = Decided(
            one.made, [(_deaf(request), codes) for request, codes in one.answers], one.at
        )
        super()._commit()


def _deaf(request: Request) -> Request:
    def hears_nothing(_answer: Codes | BaseException) -> None:
        return None

    return dataclasses.replace(request, done=hears_nothing)


def test_an_answer_before_the_commit_is_found(league: tuple[Tx, Context]) -> None:
    """Whose story breaks first hangs on the seed: a wallet that lacks what was answered, or the transfer itself."""
    found = failures(league, AnswersBeforeTheCommit)

    assert any("acknowledged, and not in the books" in one for one in found)


@pytest.mark.slow
def test_a_forgotten_fence_is_found(league: tuple[Tx, Context], monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that moves on for whoever comes, and no constraint behind it."""

    def moves_for_anyone(tx: Tx, sealed: Sealed, *, term: int) -> None:
        block = sealed.block
        tx.execute(
            "update ledger.heads set number = %s, hash = %s, booked_at = %s, size = %s, peaks = %s",
            (block.number, block.hash, block.booked_at, sealed.tree.size, b"".join(sealed.tree.peaks)),
        )

    monkeypatch.setattr(store, "move_head", moves_for_anyone)
    connection, _ = league
    connection.execute("alter table ledger.transfers drop constraint transfers_place")
    connection.execute("alter table ledger.blocks drop constraint blocks_pkey")
    connection.execute("drop index ledger.blocks_first")

    assert fails_soon(league) != ""


@pytest.mark.slow
def test_forgotten_repeats_are_found(league: tuple[Tx, Context], monkeypatch: pytest.MonkeyPatch) -> None:
    def knows_nothing(_tx: Tx, _partition: int, _ids: Iterable[bytes]) -> list[bytes]:
        return []

    monkeypatch.setattr(store, "find_known", knows_nothing)

    assert fails_soon(league) != ""


@pytest.mark.slow
def test_a_charge_with_a_fresh_id_each_time_is_found(
    league: tuple[Tx, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a death between posting and recording it is charged twice, and the wallets are not the calm day's."""

    def fresh(_charge: Charge) -> ledger.TransferId:
        return ledger.TransferId(new_id())

    monkeypatch.setattr(payments_model, "payee_transfer", fresh)

    assert "WrongStory" in fails_soon(league)
