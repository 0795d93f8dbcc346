"""What has ended is let go of, a bounded part at a time, and nothing else is."""

from datetime import timedelta

from hansa import approval, identity
from hansa.kernel import new_id
from hansa.store import Context
from identity.test_accounts import AT, rider

YEAR = timedelta(days=366)


def test_sessions_challenges_and_numbers_that_ended_are_let_go_of(ctx: Context) -> None:
    rp = identity.RelyingParty("localhost", "http://localhost")
    policy = identity.own_phone_policy()
    with ctx.tx() as tx:
        identity.open_accounts(tx, [rider(1), rider(2)])
        for number in (1, 2):
            secret = identity.start_session(tx, rider(number).account_id, AT)
            identity.give_nonce(tx, rider(number).account_id, secret, at=AT, policy=policy)
            identity.begin_assertion(tx, rp=rp, purpose="sign_in", owner=secret, at=AT)
        living = identity.start_session(tx, rider(1).account_id, AT + YEAR)

        assert identity.forget_ended(tx, AT) == 0
        assert identity.forget_ended(tx, AT + YEAR, limit=1) == 3
        rest = identity.forget_ended(tx, AT + YEAR) + identity.forget_ended(tx, AT + YEAR)

        assert rest == 1  # the new session made room before: its account had let go of the one that ended
        for table in ("nonces", "challenges"):
            assert tx.execute(f"select count(*) from identity.{table}").fetchone() == (0,)
        assert tx.execute("select count(*) from identity.sessions").fetchone() == (1,)
        assert identity.find_session(tx, living, AT + YEAR) is not None


def test_spends_of_long_ago_are_let_go_of_and_counters_stay(ctx: Context) -> None:
    use = """
    insert into approval.uses (partition, spend_id, account_id, at, minor, currency, payee_key, channel, category,
        level)
    values (0, %s, %s, %s, 100, 'CNY', 'payee:tea', 'qr', '', 1)
    """
    with ctx.tx() as tx:
        for days in (0, 399, 401, 402, 900):
            tx.execute(use, (new_id(), rider(1).account_id, AT - timedelta(days=days)))

        assert approval.forget_uses(tx, AT, limit=2) == 2
        assert approval.forget_uses(tx, AT) == 1
        assert approval.forget_uses(tx, AT) == 0
        assert tx.execute("select count(*) from approval.uses").fetchone() == (2,)
