"""The proof of a day: green where all is explained, and red by name where a row was lost, doubled or changed."""

from collections.abc import Callable
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from clearing.example_day import DAY, ride_all
from hansa import clearing, reconciliation, rides
from hansa.kernel import FixedClock
from hansa.reconciliation import StepName
from hansa.store import Context, Tx
from reports.test_statements import close, pay
from rides.riding import TUESDAY, League, local, tariff_of


def verdicts(proof: reconciliation.Proof) -> dict[str, str]:
    return {step.name.value: step.verdict.value for step in proof.steps}


def failing(proof: reconciliation.Proof) -> set[str]:
    return {step.name.value for step in proof.steps if step.unexplained}


@pytest.fixture
def ridden(ctx: Context) -> Context:
    """Two riders of Beijing ride in Hangzhou; one has no money. Their day is rated, posted, closed and paid."""
    league = League(ctx, "hangzhou-metro")
    assert isinstance(ctx.clock, FixedClock)
    tariff = tariff_of("hangzhou-metro")
    stops = [stop for _, stop, way in league.gates if way == "entry" and stop]
    for number, minor in ((1, 5_000), (2, 0)):
        league.open_money(number, minor)
        cti = league.rider(number)
        league.hand_in(league.ride("hangzhou-metro", stops[0], stops[3], local(tariff, "08:00"), cti))
    ctx.clock.at = local(tariff, "23:00") + timedelta(days=1)
    while rides.rate(ctx).days:
        pass
    while rides.post_charges(ctx).charges:
        pass
    clearing.close_day(ctx, TUESDAY)
    return ctx


def test_a_day_is_explained_from_its_taps_to_the_banks_money(ridden: Context) -> None:
    waiting = reconciliation.prove_day(ridden, TUESDAY, by="anna")
    pay(ridden, TUESDAY)
    proof = reconciliation.prove_day(ridden, TUESDAY, by="anna")

    assert waiting.verdict.value == "waits" and not failing(waiting), waiting
    assert {name for name, one in verdicts(waiting).items() if one == "waits"} == {"payments", "earned"}
    assert proof.verdict.value == "holds", [step for step in proof.steps if step.verdict.value != "holds"]
    by_name = {step.name: step for step in proof.steps}
    assert by_name[StepName.TAPS].counted == 4
    assert by_name[StepName.ITEMS].counted == by_name[StepName.POSTED].counted == 2
    assert by_name[StepName.CHARGES].sums == by_name[StepName.ITEMS].sums == by_name[StepName.CLEARED].sums
    with ridden.tx() as tx:
        assert reconciliation.get_proof(tx, TUESDAY) == proof
        assert reconciliation.get_proof(tx, TUESDAY, 1) == waiting
        assert reconciliation.list_proofs(tx) == [proof]
        with pytest.raises(reconciliation.UnknownProof):
            reconciliation.get_proof(tx, TUESDAY + timedelta(days=1))


def lose_a_tap(tx: Tx) -> None:
    tx.execute("delete from rides.taps where tap_id = (select min(tap_id::text)::uuid from rides.taps)")
    tx.execute("delete from rides.tap_runs")


def double_a_posting(tx: Tx) -> None:
    """The same fare a second time, under another id, in the same block."""
    tx.execute(
        "insert into ledger.transfers select (jsonb_populate_record(t, jsonb_build_object('transfer_id', %s::text, "
        "'position', 60000))).* from ledger.transfers t where code = 2 limit 1",
        (str(uuid4()),),
    )


def change_an_amount(tx: Tx) -> None:
    tx.execute(
        "update ledger.transfers set amount = amount + 1 where transfer_id ="
        " (select min(transfer_id::text)::uuid from ledger.transfers where code = 2)"
    )


def lose_a_posting(tx: Tx) -> None:
    tx.execute(
        "delete from ledger.transfers where transfer_id ="
        " (select min(transfer_id::text)::uuid from ledger.transfers where code = 2)"
    )


def lose_a_journey(tx: Tx) -> None:
    tx.execute(
        "delete from rides.journeys where journey_id = (select min(journey_id::text)::uuid from rides.journeys)"
    )


def change_a_net(tx: Tx) -> None:
    tx.execute("update clearing.net_positions set net_minor = net_minor + 1 where member_id = 'hangzhou'")


def lose_what_was_earned(tx: Tx) -> None:
    tx.execute("delete from ledger.transfers where code = 9")


def lose_the_banks_money(tx: Tx) -> None:
    tx.execute("delete from ledger.transfers where code = 7")


def change_a_payment(tx: Tx) -> None:
    tx.execute("update settlement.instructions set amount_minor = amount_minor + 1 where direction = 'in'")


TAMPERED: list[tuple[Callable[[Tx], None], set[str]]] = [
    (lose_a_tap, {"taps"}),
    (double_a_posting, {"charges", "items"}),
    (change_an_amount, {"charges", "items", "posted"}),
    (lose_a_posting, {"items", "posted"}),
    (lose_a_journey, {"taps"}),
    (change_a_net, {"nets", "payments"}),
    (lose_what_was_earned, {"earned"}),
    (lose_the_banks_money, {"booked"}),
    (change_a_payment, {"payments", "booked"}),
]


@pytest.mark.parametrize(("tamper", "red"), TAMPERED, ids=[one.__name__ for one, _ in TAMPERED])
def test_what_was_lost_doubled_or_changed_is_found(
    ridden: Context, tamper: Callable[[Tx], None], red: set[str]
) -> None:
    pay(ridden, TUESDAY)
    with ridden.tx() as tx:
        tx.execute("set local session_replication_role = replica")
        tamper(tx)
        tx.execute("set local session_replication_role = origin")

    proof = reconciliation.prove_day(ridden, TUESDAY, by="anna")

    assert red <= failing(proof), proof
    assert proof.verdict.value == "fails"
    assert all(one.words for step in proof.steps for one in step.findings)


def test_items_that_no_room_wrote_down_are_told_by_name(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    pay(ctx)

    proof = reconciliation.prove_day(ctx, DAY, by="anna")

    assert failing(proof) == {"charges"}
    [charges] = [step for step in proof.steps if step.name is StepName.CHARGES]
    assert charges.unexplained == 8 and len(charges.findings) == 8
    assert {UUID(one.ref).version for one in charges.findings} == {8}


def test_a_day_is_proved_once_it_is_closed_and_again_until_it_holds(ridden: Context) -> None:
    assert isinstance(ridden.clock, FixedClock)
    prover = reconciliation.Prover()

    assert (prover.turn(ridden), prover.turn(ridden), prover.turn(ridden)) == (1, 0, 0)
    pay(ridden, TUESDAY)
    ridden.clock.at += timedelta(days=1)
    assert (prover.turn(ridden), prover.turn(ridden)) == (1, 0)
    ridden.clock.at += timedelta(days=1)
    assert prover.turn(ridden) == 0
    with ridden.tx() as tx:
        assert reconciliation.get_proof(tx, TUESDAY).verdict.value == "holds"


def test_a_day_of_which_nothing_is_closed_waits(ctx: Context) -> None:
    proof = reconciliation.prove_day(ctx, date(2026, 1, 1), by="anna")

    assert proof.verdict.value == "waits" and proof.windows == ()
