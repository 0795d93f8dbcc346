"""Rules: what is found does not hang on the order of rows, no row is taken twice, and sums hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hansa.reconciliation import Row, Rule
from hansa.reconciliation.rules import Found, match
from hansa.reconciliation.suggestions import suggest

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)

Rows = list[Row]


@st.composite
def sides(draw: st.DrawFn) -> tuple[Rows, Rows]:
    def some(prefix: str) -> Rows:
        values = draw(
            st.lists(
                st.tuples(st.integers(-6, 12), st.sampled_from(["CNY", "JPY"]), st.integers(0, 100)),
                max_size=9,
            )
        )
        return [
            Row(n, f"{prefix}{n}", minor, currency, NOON + timedelta(hours=hours))
            for n, (minor, currency, hours) in enumerate(values, 1)
        ]

    return some("o"), some("t")


def said(found: list[Found], ours: Rows, theirs: Rows) -> set[tuple[frozenset[str], frozenset[str], int]]:
    """What was found, by the rows' own ids."""
    mine, other = {one.key: one.ref for one in ours}, {one.key: one.ref for one in theirs}
    return {
        (
            frozenset(mine[key] for key in one.ours),
            frozenset(other[key] for key in one.theirs),
            one.difference_minor,
        )
        for one in found
    }


def shuffled(rows: Rows, seed: int) -> Rows:
    """The same rows in another order, counted anew."""
    mixed = list(rows)
    Random(seed).shuffle(mixed)
    return [replace(one, key=n) for n, one in enumerate(mixed, 1)]


RULES = st.builds(
    Rule,
    name=st.just("rule"),
    by=st.sampled_from(["amount", "sum"]),
    tolerance_minor=st.integers(0, 2),
    days=st.integers(0, 3),
    most=st.integers(2, 4),
    currencies=st.sampled_from([(), ("CNY",)]),
)


@given(both=sides(), rule=RULES, seed=st.integers(0, 9))
def test_the_order_of_rows_decides_nothing(both: tuple[Rows, Rows], rule: Rule, seed: int) -> None:
    ours, theirs = both
    mixed = shuffled(ours, seed), shuffled(theirs, seed + 1)

    assert said(match(rule, ours, theirs), ours, theirs) == said(match(rule, *mixed), *mixed)


@given(both=sides(), rule=RULES)
def test_no_row_is_taken_twice_and_sums_hold(both: tuple[Rows, Rows], rule: Rule) -> None:
    ours, theirs = both
    mine, other = {one.key: one for one in ours}, {one.key: one for one in theirs}

    found = match(rule, ours, theirs)

    for keys in ([key for one in found for key in one.ours], [key for one in found for key in one.theirs]):
        assert len(keys) == len(set(keys))
    for one in found:
        rows = [mine[key] for key in one.ours], [other[key] for key in one.theirs]
        assert all(rows) and 1 in (len(rows[0]), len(rows[1]))
        assert len({row.currency for row in (*rows[0], *rows[1])}) == 1
        difference = sum(row.minor for row in rows[1]) - sum(row.minor for row in rows[0])
        assert one.difference_minor == difference and abs(difference) <= rule.tolerance_minor
        [alone] = rows[0] if len(rows[0]) == 1 else rows[1]
        assert all(abs(row.at - alone.at) <= timedelta(days=rule.days) for row in (*rows[0], *rows[1]))


def row(key: int, ref: str, minor: int, *, hours: int = 0, currency: str = "CNY") -> Row:
    return Row(key, ref, minor, currency, NOON + timedelta(hours=hours))


def test_a_sum_is_taken_only_where_one_set_fits() -> None:
    rule = Rule(name="sum", by="sum", days=1)
    day = row(1, "total", 1_000)

    assert match(rule, [row(1, "a", 400), row(2, "b", 600)], [day]) == [Found((1, 2), (1,), 0)]
    assert match(rule, [row(1, "a", 400), row(2, "b", 600), row(3, "c", 600)], [day]) == []


def test_the_closest_pair_is_taken_first() -> None:
    rule = Rule(name="near", by="amount", tolerance_minor=5, days=1)
    ours = [row(1, "a", 500), row(2, "b", 503)]

    assert match(rule, ours, [row(1, "x", 503)]) == [Found((2,), (1,), 0)]
    assert match(rule, ours, [row(1, "x", 505)]) == [Found((2,), (1,), 2)]
    assert match(rule, ours, [row(1, "x", 503, hours=30)]) == []
    assert match(rule, ours, [row(1, "x", 503, currency="HKD")]) == []


def test_suggestions_say_why() -> None:
    asked = row(1, "j-1", 500)
    ours = [row(1, "j-1", 700, hours=1), row(2, "j-2", 500), row(3, "j-3", 9_999), row(4, "j-4", -500)]

    found = suggest(asked, ours)

    assert [(one.row.ref, one.score) for one in found] == [("j-1", 60), ("j-2", 50), ("j-4", 40)]
    assert found[0].reasons == ("same id", "within a day")
