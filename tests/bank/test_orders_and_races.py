"""In whatever order a bank's messages are read, and however many read them at once, the day comes out the same."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

from psycopg import Rollback

from bank.weeks import LEAGUE_KEY, BankSpec, Weeks, bank_key, ride
from hansa import clearing, ledger, settlement
from hansa.apps.bank import Conduct, Mishap
from hansa.settlement import State, desk
from hansa.settlement.signing import sign_file
from hansa.store import Context

SPEC = BankSpec("east-bank", ("CNY", "JPY"), "UTC")
DAY = date(2028, 3, 1)
KEY = bank_key("east-bank")


def closed_and_sent(ctx: Context, conduct: Conduct) -> tuple[Weeks, list[bytes]]:
    """A day that was sent, and everything that the bank says of it in the next days."""
    weeks = Weeks(ctx, [SPEC], {"east-bank": conduct}, DAY, 1, kills=0.0)
    weeks.clock.at = datetime(2028, 3, 1, 12, tzinfo=UTC)
    ride(ctx, DAY, SPEC.currencies, weeks.rng)
    weeks.clock.at = datetime(2028, 3, 1, 20, 5, tzinfo=UTC)
    clearing.close_day(ctx, DAY)
    for file in desk.prepare(ctx, DAY):
        for person in ("ann", "bob"):
            desk.release(
                ctx,
                file.message_id,
                by=person,
                count=file.transactions,
                control_sum_minor=file.control_sum_minor,
            )
    link = weeks.links["east-bank"]
    desk.deliver(ctx, "east-bank", link, LEAGUE_KEY)
    for _ in range(6):
        link.bank.turn(weeks.clock.now())
        weeks.clock.at += timedelta(hours=24)
    return weeks, [body for _, body in link.bank.answers(weeks.clock.now()) if body]


def outcome(ctx: Context) -> object:
    """What all of it came to."""
    with ctx.tx() as tx:
        return (
            {one.told.end_to_end_id: (one.state, one.wrong) for one in desk.list_payments(tx)},
            {(one.kind, one.end_to_end_id) for one in settlement.open_breaks(tx)},
            settlement.gaps(tx),
            settlement.progress(tx, DAY),
            {
                (row.code, row.currency): (row.debits_posted, row.credits_posted)
                for row in ledger.trial_balance(tx).rows
            },
            tx.execute("select end_to_end_id, booked_day from settlement.matches order by 1").fetchall(),
            tx.execute(
                "select end_to_end_id, booked_day, break_entry is null from settlement.reversals order by 1"
            ).fetchall(),
        )


def test_the_order_in_which_messages_are_read_does_not_matter(ctx: Context) -> None:
    mishaps = (Mishap.DUPLICATE, Mishap.MISSTATE, Mishap.RETURN, Mishap.DELAY, Mishap.REJECT)
    weeks, said = closed_and_sent(ctx, Conduct(seed=4, percent=dict.fromkeys(mishaps, 15.0)))
    assert len(said) >= 6
    rng = random.Random(1)
    outcomes: list[object] = []

    for number in range(12):
        order = list(said)
        if number:
            rng.shuffle(order)
        with ctx.tx():
            for document in [*order, *rng.sample(order, 3)]:
                desk.take(ctx, "east-bank", document, sign_file(KEY, document))
            outcomes.append(outcome(ctx))
            raise Rollback

    assert all(one == outcomes[0] for one in outcomes)
    with ctx.tx() as tx:
        names = [one.told.end_to_end_id for one in desk.list_payments(tx)]
    met = {weeks.links["east-bank"].bank.conduct.mishap(name) for name in names}
    assert met >= {Mishap.DUPLICATE, Mishap.MISSTATE, Mishap.RETURN}


def test_several_at_the_desk_at_once_do_everything_once(committed_ctx: Context) -> None:
    weeks = Weeks(committed_ctx, [SPEC], {"east-bank": Conduct()}, DAY, 1, kills=0.0)
    weeks.clock.at = datetime(2028, 3, 1, 12, tzinfo=UTC)
    ride(committed_ctx, DAY, SPEC.currencies, weeks.rng)
    weeks.clock.at = datetime(2028, 3, 1, 20, 5, tzinfo=UTC)
    clearing.close_day(committed_ctx, DAY)
    link = weeks.links["east-bank"]

    def release(person: str) -> None:
        for file in prepared[0]:
            desk.release(
                committed_ctx,
                file.message_id,
                by=person,
                count=file.transactions,
                control_sum_minor=file.control_sum_minor,
            )

    def deliver(_: int) -> None:
        desk.deliver(committed_ctx, "east-bank", link, LEAGUE_KEY)

    def collect(_: int) -> None:
        desk.collect(committed_ctx, "east-bank", link)

    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(desk.prepare, [committed_ctx] * 4, [DAY] * 4))
        list(pool.map(release, ("ann", "bob", "carl", "dora")))
        for hours in (0, 1, 23, 1):
            weeks.clock.at += timedelta(hours=hours)
            list(pool.map(deliver, range(4)))
            link.bank.turn(weeks.clock.now())
            list(pool.map(collect, range(4)))

    assert all(one == prepared[0] for one in prepared)
    assert all(len(documents) == 1 for documents in link.handed.values())
    with committed_ctx.tx() as tx:
        payments = desk.list_payments(tx)
        assert {one.state for one in payments} == {State.BOOKED}
        assert set(settlement.progress(tx, DAY).values()) == {settlement.Progress.SETTLED}
        assert settlement.open_breaks(tx) == [] and desk.set_aside(tx) == []
        steps = tx.execute("select step, count(*) from settlement.file_facts group by step").fetchall()
        assert ledger.verify(tx) == []
    assert dict(steps)["released"] == dict(steps)["prepared"] == dict(steps)["acknowledged"] == 2
    assert link.bank.paid() == {one.told.end_to_end_id: one.told.amount_minor for one in payments}
