"""Ride tokens: the policy as data, which spans a phone gets, and the end of tokens before their time."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import identity, rides, trust
from hansa.kernel import InvalidInput
from hansa.rides.token_policy import GATES_TAKE, SHORTER, Span, ask_again_at, spans_to_give
from hansa.store import Context, Tx
from identity.proving import PhoneKey
from web import little_league
from web.little_league import LittleLeague

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = rides.own_token_policy()
TOML = (Path(rides.__file__).parent / "token_policy.toml").read_text()


def rule_for(standing: str) -> rides.TokenRule:
    rule = POLICY.rule_for(standing, "adult")
    assert rule is not None
    return rule


CLEAR, STEP_UP = rule_for("clear"), rule_for("step_up")

# -- policy -------------------------------------------------------------------------------------------------


def test_our_policy_has_a_rule_for_each_standing_and_class_and_none_for_blocked() -> None:
    for rider_class in rides.RIDER_CLASSES:
        clear, step_up = (POLICY.rule_for(one, rider_class) for one in ("clear", "step_up"))
        assert clear is not None and step_up is not None
        assert clear.ahead > 0 == step_up.ahead and step_up.offline_cap <= 1 and step_up.companions == 0
        assert POLICY.rule_for("blocked", rider_class) is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("life_h = 24", "life_h = 25", "life_h"),
        ("life_h = 24", "life_h = 12", "rule 1.life_h"),
        ("ahead = 3", "ahead = 14", "ahead"),
        ("early_min = 720", "early_min = 4", "early_min"),
        (
            "life_h = 12\nahead = 0\nearly_min = 60",
            "life_h = 1\nahead = 0\nearly_min = 60",
            "rule 5.early_min",
        ),
        ("offline_cap = 20", "offline_cap = 256", "offline_cap"),
        ("companions = 15", "companions = 16", "companions"),
        ('standing = "clear"', 'standing = "blocked"', "standing"),
        ('rider_class = "adult"', 'rider_class = "dog"', "rider_class"),
        ('rider_class = "adult"', 'rider_class = "child"', "clear adult"),
        ("version = 1", "version = 0", "version"),
        ("ended_max = 100", "", "ended_max"),
        ("version = 1", "version = 1\nextra = 2", "extra"),
        ("companions = 15", "companions = 15\nextra = 2", "extra"),
        ("version = 1", "version", "token_policy.toml"),
    ],
)
def test_a_policy_that_does_not_fit_names_the_field_and_the_remedy(old: str, new: str, named: str) -> None:
    assert old in TOML

    with pytest.raises(rides.BadTokenPolicy) as error:
        rides.read_token_policy(TOML.replace(old, new, 1))

    problems = error.value.problems
    assert any(named in one.where or named in one.what for one in problems) and all(
        one.remedy for one in problems
    )


# -- spans --------------------------------------------------------------------------------------------------


def test_a_new_phone_gets_one_token_for_now_and_three_for_the_days_after() -> None:
    spans = spans_to_give(CLEAR, [], NOW)

    assert [(one.ends_at - NOW) for one in spans] == [(n * (24 * HOUR - SHORTER)) for n in (1, 2, 3, 4)]
    assert all(one.ends_at - one.begins_at == GATES_TAKE for one in spans)
    assert all(later.begins_at == one.ends_at - SHORTER for one, later in pairwise(spans))


@pytest.mark.parametrize(
    ("left", "given"),
    [
        (timedelta(hours=12) - SHORTER, 0),
        (timedelta(minutes=60), 0),
        (timedelta(minutes=59), 1),
        (timedelta(0), 1),
    ],
)
def test_at_step_up_the_next_token_comes_within_the_last_hour(left: timedelta, given: int) -> None:
    held = [Span(NOW + left - GATES_TAKE, NOW + left)]

    assert len(spans_to_give(STEP_UP, held, NOW)) == given


def span_in(ends: timedelta) -> Span:
    return Span(NOW + ends - GATES_TAKE, NOW + ends)


SPANS = st.builds(span_in, st.timedeltas(min_value=timedelta(hours=-48), max_value=timedelta(hours=120)))


@given(held=st.lists(SPANS, max_size=8), rule=st.sampled_from(POLICY.rule), pause=st.integers(0, 600))
def test_whatever_a_phone_has_it_is_covered_and_has_no_more_ahead_than_its_rule(
    held: list[Span], rule: rides.TokenRule, pause: int
) -> None:
    given = spans_to_give(rule, held, NOW)
    everything = [one for one in (*held, *given) if one.ends_at > NOW]

    assert any(one.begins_at <= NOW for one in everything)
    assert max(one.ends_at for one in everything) - NOW >= rule.early
    had = sum(one.begins_at > NOW for one in held)
    assert had + sum(one.begins_at > NOW for one in given) <= max(rule.ahead, had + 1, had)
    assert sum(one.begins_at > NOW for one in everything) >= rule.ahead
    assert spans_to_give(rule, everything, NOW) == []
    again = ask_again_at(rule, everything, NOW)
    assert again > NOW and again <= max(one.ends_at for one in everything)


@given(rule=st.sampled_from(POLICY.rule), visits=st.lists(st.integers(1, 40), max_size=12))
def test_a_phone_that_comes_back_in_time_is_never_without_a_token(
    rule: rides.TokenRule, visits: list[int]
) -> None:
    now = NOW
    held = spans_to_give(rule, [], now)
    for hours in visits:
        until = now + hours * HOUR
        last = max(one.ends_at for one in held)
        now = min(until, last - timedelta(seconds=1))
        assert any(one.begins_at <= now < one.ends_at for one in held)
        held = [one for one in held if one.ends_at > now]
        held += spans_to_give(rule, held, now)
        assert len(held) <= rule.ahead + 2


# -- ending -------------------------------------------------------------------------------------------------


@pytest.fixture
def league(ctx: Context, tmp_path: Path) -> LittleLeague:
    return little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))


def connected(tx: Tx, account: identity.Account, at: datetime) -> identity.Phone:
    """A new phone of this account."""
    policy, key = identity.own_phone_policy(), PhoneKey()
    secret = identity.start_session(tx, account.account_id, at)
    nonce, _ = identity.give_nonce(tx, account.account_id, secret, at=at, policy=policy)
    proof = identity.Proof(key.point, nonce)
    return identity.enrol_phone(tx, account.account_id, proof, name="phone", at=at, policy=policy).phone


def denied(tx: Tx, at: datetime) -> frozenset[bytes]:
    return trust.current_deny_list(tx, at=at)[1]


def test_ending_needs_a_name_and_a_reason_and_does_nothing_without(
    ctx: Context, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    with ctx.tx() as tx:
        phone = connected(tx, account, NOW)
        rides.give_tokens(tx, league.keys, phone, hold=(), at=NOW, policy=POLICY)

        for values in (
            {},
            {"phone_id": phone.phone_id, "reason": " "},
            {"phone_id": phone.phone_id, "reason": "x" * 501},
        ):
            with pytest.raises(InvalidInput) as error, tx.transaction():
                rides.end_tokens(tx, at=NOW, **{"reason": "why", **values})  # pyright: ignore[reportArgumentType]
            assert error.value.problems[0].remedy

        assert denied(tx, NOW) == frozenset()


def test_only_live_tokens_of_that_phone_or_account_end_each_with_its_own_end(
    ctx: Context, league: LittleLeague
) -> None:
    one, other = league.riders["Gao Lan"], league.riders["Qian Qing"]
    later = NOW + 30 * HOUR
    with ctx.tx() as tx:
        first, second, third = (connected(tx, account, NOW) for account in (one, one, other))
        given = {
            phone.phone_id: rides.give_tokens(tx, league.keys, phone, hold=(), at=NOW, policy=POLICY).tokens
            for phone in (first, second, third)
        }

        ended = rides.end_tokens(tx, phone_id=first.phone_id, at=later, reason="lost")

        assert ended == 3  # the first of four had ended by itself
        assert denied(tx, later) == {token.cti for token in given[first.phone_id][1:]}
        assert rides.end_tokens(tx, account_id=one.account_id, at=later, reason="rotate") == 3
        assert rides.end_tokens(tx, account_id=one.account_id, at=later, reason="rotate") == 0
        assert (
            rides.end_tokens(tx, account_id=other.account_id, phone_id=first.phone_id, at=later, reason="x")
            == 0
        )
        last = max(token.expires_at for token in given[first.phone_id])
        assert denied(tx, last - SHORTER) == {
            given[first.phone_id][3].cti,
            given[second.phone_id][3].cti,
        }
        assert denied(tx, last) == frozenset()
        rows = tx.execute("select ended_for, count(*) from rides.tokens group by 1 order by 1").fetchall()
        assert rows == [("lost", 3), ("rotate", 3), (None, 6)]


def test_tokens_that_issuers_told_of_end_too(ctx: Context, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    token = rides.Token(b"12345678", account.account_id, "hangzhou-card", "CNY", "adult", NOW + 20 * HOUR)
    with ctx.tx() as tx:
        rides.register_tokens(tx, [token])

        assert rides.end_tokens(tx, account_id=account.account_id, at=NOW, reason="rotate") == 1
        assert denied(tx, NOW) == {token.cti}
        rides.register_tokens(tx, [token])  # told again: harmless, and it stays ended
        assert rides.end_tokens(tx, account_id=account.account_id, at=NOW, reason="rotate") == 0


def test_a_token_told_with_another_phone_or_beginning_is_a_conflict(
    ctx: Context, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    token = rides.Token(b"12345678", account.account_id, "hangzhou-card", "CNY", "adult", NOW + 20 * HOUR)
    with ctx.tx() as tx:
        rides.register_tokens(tx, [token])
        for other in (
            replace(token, companions=1),
            replace(token, phone_id=UUID(int=1)),
            replace(token, begins_at=NOW),
        ):
            with pytest.raises(rides.TokenConflict), tx.transaction():
                rides.register_tokens(tx, [other])

        assert tx.execute("select count(*) from rides.tokens").fetchone() == (1,)


def test_tokens_given_before_a_standing_changed_are_replaced(ctx: Context, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    with ctx.tx() as tx:
        phone = connected(tx, account, NOW)
        first = rides.give_tokens(tx, league.keys, phone, hold=(), at=NOW, policy=POLICY)
        hold = {token.cti for token in first.tokens}
        identity.set_standing(tx, account.account_id, level="step_up", reason="a test", at=NOW + HOUR)

        second = rides.give_tokens(tx, league.keys, phone, hold=hold, at=NOW + HOUR, policy=POLICY)
        third = rides.give_tokens(
            tx, league.keys, phone, hold={second.tokens[0].cti}, at=NOW + HOUR, policy=POLICY
        )

        assert len(second.tokens) == 1 and set(second.drop) == hold
        assert third.tokens == () and third.drop == ()
        assert denied(tx, NOW + HOUR) == hold


def test_a_token_that_another_phone_holds_counts_for_nothing(ctx: Context, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    with ctx.tx() as tx:
        one, other = connected(tx, account, NOW), connected(tx, account, NOW)
        first = rides.give_tokens(tx, league.keys, one, hold=(), at=NOW, policy=POLICY)
        hold = {token.cti for token in first.tokens}

        given = rides.give_tokens(tx, league.keys, other, hold=hold, at=NOW, policy=POLICY)

        assert len(given.tokens) == 4 and set(given.drop) == hold
        assert denied(tx, NOW) == frozenset()


STEPS = st.one_of(
    st.tuples(st.just("ask"), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 60)),
    st.tuples(st.just("rotate"), st.none()),
    st.tuples(st.just("standing"), st.sampled_from(["clear", "step_up", "blocked"])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12))
def test_in_any_order_what_gates_take_is_what_the_phone_was_given_last(
    ctx: Context, league: LittleLeague, steps: list[tuple[str, object]]
) -> None:
    """Answers that get lost, waits, rotations and standings in any order; then one question that is answered."""
    account = league.riders["Gao Lan"]
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        phone, at, held = connected(tx, account, NOW), NOW, set[bytes]()
        for what, value in (*steps, ("wait", 1), ("standing", "clear"), ("ask", True)):
            if what == "wait":
                at += int(str(value)) * HOUR
            elif what == "rotate":
                rides.end_tokens(tx, account_id=account.account_id, at=at, reason="rotate")
            elif what == "standing":
                level: identity.Level = value  # pyright: ignore[reportAssignmentType]
                identity.set_standing(tx, account.account_id, level=level, reason="a test", at=at)
            else:
                try:
                    given = rides.give_tokens(tx, league.keys, phone, hold=held, at=at, policy=POLICY)
                except identity.AccountBlocked:
                    continue
                if value:  # the answer arrived
                    held = held - set(given.drop) | {token.cti for token in given.tokens}

        rows = tx.execute(
            "select cti, begins_at, expires_at, ended_at is not null from rides.tokens where expires_at > %s",
            (at,),
        ).fetchall()
        live = {cti for cti, _, _, ended in rows if not ended}
        assert live <= held and denied(tx, at) == {cti for cti, _, _, ended in rows if ended}
        assert any(begins <= at < expires for _, begins, expires, ended in rows if not ended)
        assert len(live) <= CLEAR.ahead + 2


def test_whoever_asks_while_the_phone_is_reported_lost_is_left_with_nothing(
    committed_ctx: Context, tmp_path: Path
) -> None:
    """Ask and report at once, many times: no token of a lost phone is off the deny list afterwards."""
    ctx = committed_ctx
    league = little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))

    for _ in range(8):
        ask_and_report(ctx, league)

    with ctx.tx() as tx:
        left = tx.execute("select count(*) from rides.tokens where ended_at is null").fetchone()
        issued = {row[0] for row in tx.execute("select cti from rides.tokens").fetchall()}
        assert left == (0,) and denied(tx, NOW) == issued


def ask_and_report(ctx: Context, league: LittleLeague) -> None:
    account_id, policy, key = league.riders["Gao Lan"].account_id, identity.own_phone_policy(), PhoneKey()
    with ctx.tx() as tx:
        secret = identity.start_session(tx, account_id, NOW)
        proofs = [
            identity.Proof(key.point, identity.give_nonce(tx, account_id, secret, at=NOW, policy=policy)[0])
            for _ in range(2)
        ]
        phone = identity.enrol_phone(tx, account_id, proofs[0], name="phone", at=NOW, policy=policy).phone
    together = threading.Barrier(2)

    def ask() -> None:
        together.wait()
        with suppress(identity.PhoneEnded, identity.NonceRefused), ctx.tx() as tx:
            proved = identity.prove_phone(tx, account_id, phone.phone_id, proofs[1], at=NOW)
            rides.give_tokens(tx, league.keys, proved, hold=(), at=NOW, policy=POLICY)

    def report() -> None:
        together.wait()
        with ctx.tx() as tx:
            rides.end_phone(tx, account_id, phone.phone_id, "lost", at=NOW)

    threads = [threading.Thread(target=ask), threading.Thread(target=report)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
