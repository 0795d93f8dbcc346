"""Cases: opened once whatever the order, acted on once, decided with a reason, seen by whom they concern."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import atlas, risk
from hansa.kernel import HansaError, InvalidInput
from hansa.risk import Asked, Heard, Point, Revoked, Seen, Turned, actions
from hansa.store import Context, Tx
from risk.seeing import ACCOUNT, CTI, NOON, PLACES, Hands, NoFeed, seen, turned

COPIED = [seen("hill", 0, 5, made=-2), seen("near", 7, 5, made=-2)]
CLONED = [seen("hill", 100, 9), seen("hill", 700, 3)]


def heard(taps: Sequence[Seen] = (), refused: Sequence[Turned] = ()) -> list[Heard]:
    return [Heard(ACCOUNT, tuple(taps), tuple(refused))]


def cases_of(ctx: Context, **asked: str) -> list[risk.Case]:
    with ctx.tx() as tx:
        return risk.list_cases(tx, Asked(**asked))  # type: ignore[arg-type]


def books(ctx: Context) -> list[risk.Case]:
    return sorted(cases_of(ctx), key=lambda case: case.case_id)


def test_a_copied_code_opens_a_case_with_its_evidence(ctx: Context) -> None:
    hands = Hands()

    counts = risk.Watcher(NoFeed(), hands).hear(ctx, heard(COPIED))

    (case,) = cases_of(ctx)
    assert (counts.opened, counts.acted) == (1, 1)
    assert (case.rule, case.rules_version, case.severity, case.status) == ("copied_code", 1, "high", "open")
    assert case.account_id == ACCOUNT
    assert case.case_id == risk.case_id_of("copied_code", CTI)
    assert case.evidence.taps == tuple(COPIED)
    assert case.operators == ("london-rail",)
    assert hands.asked == [("rotate", ACCOUNT)]
    assert [(taken.action, dict(taken.told)) for taken in case.taken] == [("rotate", {"tokens_ended": 2})]


def test_hearing_it_again_opens_and_does_nothing_more(ctx: Context) -> None:
    hands = Hands()
    watcher = risk.Watcher(NoFeed(), hands)
    watcher.hear(ctx, heard(COPIED))
    before = books(ctx)

    counts = watcher.hear(ctx, heard(COPIED)) + watcher.hear(ctx, heard([COPIED[1]]))

    assert (counts.opened, counts.acted) == (0, 0)
    assert books(ctx) == before
    assert hands.asked == [("rotate", ACCOUNT)]


def test_an_honest_day_opens_no_case(ctx: Context) -> None:
    day = [
        seen("hill", 0, 1),
        seen("dale", 1500, 2, action="exit"),
        seen("dale", 30_000, 5),
        seen("hill", 31_500, 6, action="exit"),
    ]

    risk.Watcher(NoFeed(), Hands()).hear(ctx, heard(day, [turned("hill", -20, 9, made=-700)]))

    assert cases_of(ctx) == []


FACTS: list[Seen | Turned] = [
    *COPIED,
    *CLONED,
    seen("away", 3000, 11),
    *(seen("hill", 5000 + 20 * n, 20 + n) for n in range(7)),
    seen("near", 9000, 40, version=1),
    seen("dale", 9100, 41),
    turned("dale", 400, 5, made=-2),
    turned("near", 500, 5, made=-2),
    *(seen("hill", 12_000 + n, 1, cti=f"{n:016x}") for n in range(6)),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(FACTS))),
    cuts=st.sets(st.integers(1, len(FACTS) - 1), max_size=8),
    again=st.sets(st.integers(0, len(FACTS) - 1), max_size=5),
)
def test_whatever_the_order_and_the_batches_the_same_cases(
    ctx: Context, order: list[int], cuts: set[int], again: set[int]
) -> None:
    feed = NoFeed({CTI: Revoked(2, NOON)})
    with ctx.tx() as tx:
        tx.execute("delete from risk.case_actions")
        tx.execute("delete from risk.cases")
        tx.execute("delete from risk.memories")
    risk.Watcher(feed, Hands()).hear(ctx, _as_heard(FACTS))
    wanted = books(ctx)
    with ctx.tx() as tx:
        tx.execute("delete from risk.case_actions")
        tx.execute("delete from risk.cases")
        tx.execute("delete from risk.memories")

    edges = [0, *sorted(cuts), len(FACTS)]
    for begin, end in pairwise(edges):
        risk.Watcher(feed, Hands()).hear(ctx, _as_heard([FACTS[place] for place in order[begin:end]]))
    risk.Watcher(feed, Hands()).hear(ctx, _as_heard([FACTS[place] for place in again]))

    assert {case.rule for case in wanted} >= {
        "copied_code",
        "two_phones",
        "too_far",
        "too_often",
        "picture",
        "revoked_offline",
        "many_tokens",
    }
    assert [_found(case) for case in books(ctx)] == [_found(case) for case in wanted]


def _found(case: risk.Case) -> tuple[risk.Case, list[str]]:
    """A case and what was done, but not which of several cases was the first to ask the same of the rider."""
    return replace(case, taken=()), sorted(taken.action for taken in case.taken)


def _as_heard(facts: Sequence[Seen | Turned]) -> list[Heard]:
    return heard(
        [fact for fact in facts if isinstance(fact, Seen)],
        [fact for fact in facts if isinstance(fact, Turned)],
    )


@pytest.fixture(autouse=True)
def _the_places_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up stations stand where ``seeing`` says."""

    def points(_tx: Tx, _city_id: str) -> dict[str, Point]:
        return PLACES

    monkeypatch.setattr(actions, "_points", points)


# -- deciding -----------------------------------------------------------------------------------------------


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def case(ctx: Context, hands: Hands) -> risk.Case:
    risk.Watcher(NoFeed(), hands).hear(ctx, heard(CLONED))
    (case,) = cases_of(ctx)
    return case


def test_a_cloned_phone_must_step_up_and_a_dismissal_takes_that_back(
    ctx: Context, hands: Hands, case: risk.Case
) -> None:
    stood = dict(hands.standing)

    decided = risk.decide(
        ctx, hands, case.case_id, verdict="dismissed", by="Kim", reason="A repaired phone, see ticket 12"
    )

    assert stood == {ACCOUNT: ("step_up", case.case_id)}
    assert hands.standing == {}
    assert (decided.status, decided.decided_by, decided.reason) == (
        "dismissed",
        "Kim",
        "A repaired phone, see ticket 12",
    )
    assert decided.decided_at == ctx.clock.now()
    assert [taken.action for taken in decided.taken] == ["clear", "rotate", "step_up"]


def test_a_confirmed_case_leaves_the_rider_stepped_up(ctx: Context, hands: Hands, case: risk.Case) -> None:
    risk.decide(ctx, hands, case.case_id, verdict="confirmed", by="Kim", reason="Rider admits it")

    assert hands.standing == {ACCOUNT: ("step_up", case.case_id)}


def test_a_dismissal_leaves_what_another_case_asks(ctx: Context, hands: Hands, case: risk.Case) -> None:
    hands.standing[ACCOUNT] = "block", uuid4()

    decided = risk.decide(ctx, hands, case.case_id, verdict="dismissed", by="Kim", reason="No harm")

    assert hands.standing[ACCOUNT][0] == "block"
    assert "clear" not in [taken.action for taken in decided.taken]


@pytest.mark.parametrize("reason", ["", "  ", "no", "x" * 2_001])
def test_a_decision_without_a_reason_changes_nothing(
    ctx: Context, hands: Hands, case: risk.Case, reason: str
) -> None:
    with pytest.raises(InvalidInput):
        risk.decide(ctx, hands, case.case_id, verdict="dismissed", by="Kim", reason=reason)

    assert cases_of(ctx) == [case]
    assert hands.standing == {ACCOUNT: ("step_up", case.case_id)}


def test_a_decision_stands(ctx: Context, hands: Hands, case: risk.Case) -> None:
    first = risk.decide(ctx, hands, case.case_id, verdict="confirmed", by="Kim", reason="Seen on film")

    again = risk.decide(ctx, hands, case.case_id, verdict="confirmed", by="Lee", reason="Me too")
    with pytest.raises(risk.CaseDecided, match="confirmed by Kim"):
        risk.decide(ctx, hands, case.case_id, verdict="dismissed", by="Lee", reason="Not so")

    assert again == first
    assert cases_of(ctx) == [first]


def test_later_facts_leave_a_decided_case_as_it_was_decided(
    ctx: Context, hands: Hands, case: risk.Case
) -> None:
    decided = risk.decide(ctx, hands, case.case_id, verdict="dismissed", by="Kim", reason="A repair")
    asked = list(hands.asked)

    risk.Watcher(NoFeed(), hands).hear(ctx, heard([seen("hill", 1200, 2)]))

    assert cases_of(ctx) == [decided]
    assert hands.asked == asked


# -- who sees what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("member", "number"), [(None, 1), ("london-rail", 1), ("beijing-rail", 0)])
def test_members_see_cases_of_their_own_gates(
    ctx: Context, hands: Hands, case: risk.Case, member: str | None, number: int
) -> None:
    with ctx.tx() as tx:
        found = risk.list_cases(tx, Asked(member=member))
        counted = risk.count_cases(tx, member=member)

    assert len(found) == number
    assert sum(count.open for count in counted) == number


def test_another_members_case_can_neither_be_read_nor_decided(
    ctx: Context, hands: Hands, case: risk.Case
) -> None:
    with ctx.tx() as tx, pytest.raises(risk.UnknownCase):
        risk.get_case(tx, case.case_id, member="beijing-rail")
    with pytest.raises(risk.UnknownCase):
        risk.decide(
            ctx, hands, case.case_id, verdict="dismissed", by="Kim", reason="Not mine", member="beijing-rail"
        )

    assert cases_of(ctx) == [case]


# -- one transaction ----------------------------------------------------------------------------------------


class Dying(Hands):
    """The process dies while it acts."""

    def rotate(self, tx: object, account_id: UUID, *, at: object, reason: str) -> int:
        raise HansaError("struck down")


def test_a_death_while_acting_leaves_nothing_and_the_next_turn_does_it_all(ctx: Context) -> None:
    with pytest.raises(HansaError, match="struck down"):
        risk.Watcher(NoFeed(), Dying()).hear(ctx, heard(COPIED))
    left = cases_of(ctx)
    hands = Hands()

    counts = risk.Watcher(NoFeed(), hands).hear(ctx, heard(COPIED))

    assert left == []
    assert counts.opened == 1
    assert hands.asked == [("rotate", ACCOUNT)]


def test_memory_is_bounded(ctx: Context) -> None:
    dice = Random(7)
    watcher = risk.Watcher(NoFeed(), Hands())

    for batch in range(5):
        watcher.hear(ctx, heard([seen("hill", dice.randint(0, 10**6), 200 * batch + n) for n in range(200)]))

    with ctx.tx() as tx:
        row = tx.execute("select count(*), max(length(facts)) from risk.memories").fetchone()
    assert row is not None
    assert row[0] == 1
    assert row[1] < 400 * 400


def test_an_account_not_seen_for_days_is_forgotten(ctx: Context) -> None:
    watcher = risk.Watcher(NoFeed(), Hands())
    watcher.hear(ctx, heard([seen("hill", -10 * 86_400, 1)]))
    watcher.hear(ctx, [Heard(uuid4(), (seen("hill", 0, 1, cti="cc" * 8),), ())])

    assert (watcher.forget(ctx), watcher.forget(ctx)) == (1, 0)


def test_places_come_from_the_atlas(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder("london")))
        network = atlas.get_network(tx, "london")
        stop = next(stop for stop in network.stops.values() if stop.lat is not None)
        places = actions.Places().of(tx, {stop.stop_id: "london", "a bus": "london", "x": "nowhere"})

    assert (places[stop.stop_id].lat, places[stop.stop_id].within_m) == (stop.lat, 0.0)
    assert 5_000 < places["a bus"].within_m < 60_000
    assert "x" not in places
