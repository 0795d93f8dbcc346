"""What tests of notices share: hearing what was recorded inside a transaction that never commits."""

from hansa import identity, notifications
from hansa.apps.notices import payee_names
from hansa.apps.web.notice_words import said, words_in
from hansa.notifications import Notice
from hansa.notifications.actions import take
from hansa.store import Context


def hear_here(ctx: Context) -> int:
    """Make notices of all that is in the outbox now, by the same way as the worker, and empty it.

    An outbox is read below the oldest transaction that still runs, and a test's own one always does.
    """
    with ctx.tx() as tx:
        rows = tx.execute(
            """
            select body from (
                select xid, seq, 0 as place, body from store.outbox where topic = 'people'
                union all
                select o.xid, o.seq, p.place, p.body from store.outbox o,
                    jsonb_array_elements(o.body -> 'people') with ordinality as p (body, place)
                where o.topic = 'webhooks') as told
            order by xid, seq, place
            """
        ).fetchall()
        take(ctx, tx, [body for (body,) in rows], payee_names)
        tx.execute("delete from store.outbox where topic in ('people', 'webhooks')")
    return len(rows)


def told(ctx: Context, account_id: identity.AccountId, **more: bool) -> list[Notice]:
    """What this person was told, the latest first."""
    with ctx.tx() as tx:
        partition = ctx.directory.partition_of(account_id)
        return notifications.list_notices(tx, account_id, partition=partition, limit=200, **more)


def heard(ctx: Context, account_id: identity.AccountId, language: str = "en") -> list[str]:
    """What this person was told since, in words, oldest first."""
    hear_here(ctx)
    say = words_in(language)
    return [one.text for notice in reversed(told(ctx, account_id)) if (one := said(notice, say, "UTC"))]
