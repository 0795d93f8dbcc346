"""Handing batches over to an engine in another process, through the database that both know.

A batch is a row of an unlogged table, its answer another column of that row. A notice wakes whoever waits; nothing
depends on it, since both sides also look by the clock. What a crash loses is sent again: posting is by id.
"""

import time
from typing import Protocol

import msgspec

from hansa.kernel import HansaError, new_id
from hansa.ledger import store
from hansa.ledger.batch import Batch, read_batch, write_batch
from hansa.ledger.model import BATCH_MAX, ResultCode
from hansa.store import Context, StoreUnavailable, Tx

CHANNEL_NOTICE = "select pg_notify('hansa_ledger_mail', %s)"
LISTEN = "listen hansa_ledger_mail"

_NOTICE_WAIT_S = 0.5
_LOOK_AGAIN_S = (0.002, 0.004, 0.008, 0.016)


class _Letter(msgspec.Struct, frozen=True):
    """What is sent: the transfers that can be told, and the codes of those that cannot."""

    batch: bytes
    refused: dict[int, str]
    expiring: bool = False


class _Answer(msgspec.Struct, frozen=True):
    """What comes back: codes in order, or why there are none."""

    codes: list[str]
    error: str = ""


class Takes(Protocol):
    """Where letters go: an engine."""

    partition: int

    @property
    def term(self) -> int | None: ...

    def post(self, batch: Batch, *, expiring: bool = False, term: int | None = None) -> list[ResultCode]: ...


def hand_over(
    ctx: Context, partition: int, batch: Batch, *, expiring: bool = False, wait_s: float = 10
) -> list[ResultCode] | None:
    """Send the batch to the partition's engine and wait for its codes. None: that engine lives no more.

    Errors: StoreUnavailable when no answer came in time; whether it was booked is told by posting it again.
    """
    letter = _Letter(
        write_batch(Batch(batch.bodies), partition=partition),
        {index: code.value for index, code in batch.refused.items()},
        expiring,
    )
    mail_id = new_id()
    with ctx.tx() as tx:
        store.send_mail(tx, partition, mail_id, msgspec.msgpack.encode(letter))
        tx.execute(CHANNEL_NOTICE, (str(partition),))
    deadline, look = time.monotonic() + wait_s, 0
    while True:
        time.sleep(_LOOK_AGAIN_S[min(look, len(_LOOK_AGAIN_S) - 1)])
        look += 1
        with ctx.tx() as tx:
            answer = store.take_answer(tx, partition, mail_id)
            if answer is not None:
                return _codes(msgspec.msgpack.decode(answer, type=_Answer))
            if look % 50 == 0 and not (
                store.has_mail(tx, partition, mail_id) and store.engine_lives(tx, partition)
            ):
                return None
        if time.monotonic() > deadline:
            raise StoreUnavailable("The ledger's engine did not answer in time. Send the same request again.")


def _codes(answer: _Answer) -> list[ResultCode]:
    if answer.error:
        raise StoreUnavailable(answer.error)
    return [ResultCode(code) for code in answer.codes]


def answer_waiting_mail(connection: Tx, engine: Takes) -> None:
    """Post all letters that wait, and then wait for a notice of the next, or half a second.

    connection: in autocommit, and for this alone.
    A letter is good only for the term in which it is read: in a later one its sender may have posted again, and been
    told something else.
    """
    connection.execute(LISTEN)
    term = engine.term
    for mail_id, body in store.waiting_mail(connection, engine.partition) if term is not None else ():
        store.answer_mail(
            connection, engine.partition, mail_id, msgspec.msgpack.encode(_answer(engine, body, term))
        )
    for _ in connection.notifies(timeout=_NOTICE_WAIT_S, stop_after=1):
        break


def _answer(engine: Takes, body: bytes, term: int | None) -> _Answer:
    try:
        letter = msgspec.msgpack.decode(body, type=_Letter)
        batch = read_batch(letter.batch, count_max=BATCH_MAX)
        refused = {index: ResultCode(code) for index, code in letter.refused.items()}
        codes = engine.post(Batch(batch.bodies, batch.records, refused), expiring=letter.expiring, term=term)
    except (HansaError, msgspec.DecodeError) as error:
        return _Answer([], str(error) or "The engine could not take this batch.")
    return _Answer([code.value for code in codes])
