"""A member's own file against ours: matched by rules, by hand by two persons, undone; and refused by row."""

import csv
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearing.example_day import AT, DAY, RIDES, journey_of, ride_all
from hansa import reconciliation
from hansa.kernel import HansaError, InvalidInput, Money
from hansa.store import Context, Tx
from reports.test_statements import close

PROFILE = """
member_id = "beijing-subway"
currencies = ["CNY"]
columns = { id = "Trip", amount = "Paid", currency = "CCY", time = "When" }
tz = "Asia/Shanghai"

[[rules]]
name = "same trip"
by = "id"

[[rules]]
name = "same amount, two cents"
by = "amount"
tolerance_minor = 2
days = 1
"""

Line = dict[str, object]

MINE = [one for one in RIDES if one.operator_id == "beijing-subway"]


def lines() -> list[Line]:
    """The subway's own list of the example day: it has ride 1 as it became by its correction."""
    sums: dict[str, int] = {}
    for one in MINE:
        ref = str(journey_of(one))
        sums[ref] = sums.get(ref, 0) + one.minor
    return [
        {"Trip": ref, "Paid": Money(minor, "CNY").decimal(), "CCY": "CNY", "When": AT.isoformat()}
        for ref, minor in sums.items()
    ]


def write(path: Path, rows: list[Line]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["Trip", "Paid", "CCY", "When"])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def closed(ctx: Context) -> Context:
    ride_all(ctx)
    close(ctx)
    with ctx.tx() as tx:
        reconciliation.set_profile(tx, PROFILE, by="anna", at=ctx.clock.now())
    return ctx


def read(ctx: Context, path: Path) -> reconciliation.Compared:
    return reconciliation.read_file(ctx, path, "beijing-subway", DAY, DAY, name=path.name, by="anna")


def kept(tx: Tx) -> list[int]:
    names = ("files", "rows", "matches", "matched")
    counts = [tx.execute(f"select count(*) from reconciliation.{name}".encode()).fetchone() for name in names]
    return [int(one[0]) for one in counts if one is not None]


def test_a_file_that_says_what_we_say_is_matched_whole(closed: Context, tmp_path: Path) -> None:
    made = read(closed, write(tmp_path / "mine.csv", lines()))

    assert made.rules == (("same trip", len(lines()), 0),)
    assert (made.file.theirs, made.file.ours, made.left) == (len(lines()), len(MINE), ())
    assert read(closed, tmp_path / "mine.csv") == made


def test_parquet_says_the_same_as_csv_in_any_order(closed: Context, tmp_path: Path) -> None:
    rows = lines()
    Random(1).shuffle(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    with closed.tx() as tx:
        text = PROFILE.replace("tz =", 'form = "parquet"\ntz =')
        reconciliation.set_profile(tx, text, by="anna", at=closed.clock.now())

    made = read(closed, tmp_path / "mine.parquet")

    assert made.rules == (("same trip", len(lines()), 0),) and made.left == ()


def test_what_does_not_agree_is_left_with_its_age_and_suggestions(closed: Context, tmp_path: Path) -> None:
    rows = lines()
    rows[0]["Trip"] = "typo"
    rows[1]["Paid"] = "99.00"
    rows.append({"Trip": "unknown", "Paid": "0.01", "CCY": "CNY", "When": "2026-11-10 08:00"})

    made = read(closed, write(tmp_path / "mine.csv", rows))

    assert {rule: count for rule, count, _ in made.rules}["same trip"] == len(rows) - 3
    with closed.tx() as tx:
        theirs = reconciliation.list_free(tx, made.file.file_id, "t")
        found = reconciliation.suggestions(tx, made.file.file_id, theirs)
    by_ref = {one.ref: one for one in theirs}
    assert by_ref["unknown"].minor == 1 and found[by_ref["unknown"].key] == []
    ages = {one.days for one in made.left if one.side == "t"}
    assert max(ages) == 7 and min(ages) == 0
    wrong = next(one for one in theirs if one.minor == 9_900)
    assert found[wrong.key][0].reasons[0] == "same id"


def test_two_persons_match_by_hand_and_undo(closed: Context, tmp_path: Path) -> None:
    rows = lines()
    rows[-1]["Paid"] = "99.00"
    made = read(closed, write(tmp_path / "mine.csv", rows))
    file_id = made.file.file_id
    with closed.tx() as tx:
        [theirs] = reconciliation.list_free(tx, file_id, "t")
        [ours] = reconciliation.list_free(tx, file_id, "o")
    first = uuid4()

    reconciliation.propose_match(
        closed, first, file_id, ours=[ours.key], theirs=[theirs.key], why="mistyped", by="anna"
    )
    with pytest.raises(reconciliation.SamePerson):
        reconciliation.decide(closed, first, "approved", why="", by="anna")
    again = uuid4()
    reconciliation.propose_match(
        closed, again, file_id, ours=[ours.key], theirs=[theirs.key], why="mistyped", by="anna"
    )
    reconciliation.decide(closed, first, "approved", why="", by="bo")
    with pytest.raises(reconciliation.Decided):
        reconciliation.decide(closed, first, "approved", why="", by="bo")
    with pytest.raises(reconciliation.RowsTaken), closed.tx() as tx:
        reconciliation.decide(closed, again, "approved", why="", by="bo")

    with closed.tx() as tx:
        [hand] = reconciliation.list_matches(tx, file_id, apart=True)
        assert (hand.ours, hand.theirs, hand.made_by, hand.seconded_by) == (
            [ours.key],
            [theirs.key],
            "anna",
            "bo",
        )
        assert hand.difference_minor == theirs.minor - ours.minor
        assert reconciliation.compared(tx, file_id, closed.clock.now()).left == ()
    undo = uuid4()
    reconciliation.propose_undo(closed, undo, file_id, hand.match_no, why="another trip", by="bo")
    reconciliation.decide(closed, undo, "approved", why="", by="anna")
    reconciliation.decide(closed, again, "refused", why="not any more", by="bo")
    with closed.tx() as tx:
        assert [one.key for one in reconciliation.list_free(tx, file_id, "t")] == [theirs.key]
        assert reconciliation.list_matches(tx, file_id, apart=True)[0].undone
        assert reconciliation.list_proposals(tx, file_id) == []
    with pytest.raises(reconciliation.UnknownMatch):
        reconciliation.propose_undo(closed, uuid4(), file_id, hand.match_no, why="again", by="bo")
    last = uuid4()
    reconciliation.propose_match(
        closed, last, file_id, ours=[ours.key], theirs=[theirs.key], why="after all", by="bo"
    )
    reconciliation.decide(closed, last, "approved", why="", by="anna")
    with closed.tx() as tx:
        assert reconciliation.list_free(tx, file_id, "t") == []


def test_by_hand_needs_a_reason_and_rows_that_are_free(closed: Context, tmp_path: Path) -> None:
    made = read(closed, write(tmp_path / "mine.csv", lines()))
    file_id: UUID = made.file.file_id

    for ours, theirs, why, error in (
        ([1], [1], "why", reconciliation.RowsTaken),
        ([99], [], "why", reconciliation.RowsTaken),
        ([], [], "why", InvalidInput),
        ([1], [1], " ", InvalidInput),
    ):
        with pytest.raises(error):
            reconciliation.propose_match(
                closed, uuid4(), file_id, ours=ours, theirs=theirs, why=why, by="anna"
            )
    with closed.tx() as tx:
        assert reconciliation.list_proposals(tx) == []


BAD: list[tuple[str, dict[str, object], str, str]] = [
    ("another currency", {"CCY": "HKD"}, "row 2, CCY", "'HKD' is not CNY"),
    ("no decimals", {"Paid": "5"}, "row 2, Paid", "2 digits after the point"),
    ("three decimals", {"Paid": "5.000"}, "row 2, Paid", "2 digits after the point"),
    ("no amount", {"Paid": "five"}, "row 2, Paid", "'five'"),
    ("not a number", {"Paid": "NaN"}, "row 2, Paid", "'NaN'"),
    ("no time", {"When": "yesterday"}, "row 2, When", "no instant"),
    ("no id", {"Trip": " "}, "row 2, Trip", "there is no id"),
    ("an id twice", {"Trip": str(journey_of(MINE[0]))}, "row 2, Trip", "stands in row 1 too"),
]


@pytest.mark.parametrize(("case", "change", "where", "what"), BAD, ids=[one[0] for one in BAD])
def test_a_file_that_does_not_fit_is_refused_by_row_and_nothing_is_kept(
    closed: Context, tmp_path: Path, case: str, change: Line, where: str, what: str
) -> None:
    rows = lines()
    rows[1] |= change

    with pytest.raises(reconciliation.BadFile) as refused:
        read(closed, write(tmp_path / "mine.csv", rows))

    [problem] = refused.value.problems
    assert problem.where == where and what in problem.what and problem.remedy
    with closed.tx() as tx:
        assert kept(tx) == [0, 0, 0, 0]


def test_a_wrong_column_is_named_with_those_that_are_there(closed: Context, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("Trip,Amount,CCY,When\n")

    with pytest.raises(reconciliation.BadFile) as refused:
        read(closed, path)

    assert "'Paid'" in refused.value.problems[0].where
    assert "Trip, Amount, CCY, When" in refused.value.problems[0].what


@pytest.mark.parametrize(
    ("currency", "good", "bad"), [("JPY", "100", "100.00"), ("CNY", "1.00", "1"), ("KWD", "1.000", "1.00")]
)
def test_an_amount_has_the_digits_of_its_currency(
    closed: Context, tmp_path: Path, currency: str, good: str, bad: str
) -> None:
    with closed.tx() as tx:
        text = PROFILE.replace('["CNY"]', f'["{currency}"]')
        reconciliation.set_profile(tx, text, by="anna", at=closed.clock.now())
    row: Line = {"Trip": "a", "CCY": currency, "When": AT.isoformat()}

    made = read(closed, write(tmp_path / "good.csv", [row | {"Paid": good}]))
    with pytest.raises(reconciliation.BadFile, match="digits after the point"):
        read(closed, write(tmp_path / "bad.csv", [row | {"Paid": bad}]))

    assert made.file.theirs == 1


def test_days_that_are_not_closed_and_members_without_profile_are_refused(
    closed: Context, tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.csv", lines())
    errors: list[type[HansaError]] = []
    for member, first, last in (
        ("beijing-subway", DAY, DAY + timedelta(days=1)),
        ("beijing-subway", DAY, DAY - timedelta(days=1)),
        ("hangzhou-metro", DAY, DAY),
    ):
        with pytest.raises(HansaError) as refused:
            reconciliation.read_file(closed, path, member, first, last, name="x", by="anna")
        errors.append(type(refused.value))

    assert errors == [reconciliation.NotClosed, InvalidInput, reconciliation.NoProfile]
    with closed.tx() as tx:
        assert kept(tx) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (('"id"\n\n', '"guess"\n\n'), "rules[0].by"),
        (('["CNY"]', '["XXY"]'), "currencies"),
        (("Asia/Shanghai", "Asia/Nowhere"), "tz"),
        (("same amount, two cents", "same trip"), "rules"),
        (("[[rules]]", "[[rules]"), "profile"),
        (('tz = "', 'zone = "'), "profile"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused_by_field(change: tuple[str, str], where: str) -> None:
    with pytest.raises(reconciliation.BadProfile) as refused:
        reconciliation.read_profile(PROFILE.replace(*change))

    assert where in refused.value.problems[0].where


def test_what_was_reconciled_is_never_rewritten(closed: Context, tmp_path: Path) -> None:
    read(closed, write(tmp_path / "mine.csv", lines()))

    with closed.tx() as tx:
        for statement in (
            b"update reconciliation.rows set minor = 0",
            b"delete from reconciliation.matched",
            b"truncate reconciliation.proofs",
        ):
            with pytest.raises(Exception, match="never rewritten"), tx.transaction():
                tx.execute(statement)
