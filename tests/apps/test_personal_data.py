"""A person's data across rooms: nothing that names an account is forgotten when all that is kept is given out."""

from hansa.apps import personal_data
from hansa.store import Context

PERSONS = (
    "account_id",
    "approver_id",
    "asker_id",
    "delegate_id",
    "guardian_id",
    "holder_id",
    "muted_id",
    "owner_id",
    "payer",
    "payer_id",
    "person_id",
    "receiver_id",
    "sender_id",
    "spender",
    "spender_id",
    "ward_id",
)
"""What a column is called that holds somebody's account, or who they are."""

NO_PERSONS = ("clearing", "hub", "ledger", "reports", "settlement", "trust", "webhooks")
"""Rooms whose accounts are not people's."""

TABLES = """
select distinct table_schema || '.' || table_name
from information_schema.columns join information_schema.tables using (table_schema, table_name)
where column_name = any(%s) and data_type = 'uuid' and table_type = 'BASE TABLE'
    and table_schema not in ('information_schema', 'pg_catalog') and not table_schema = any(%s)
order by 1
"""


def test_every_table_that_names_an_account_is_given_out_or_says_why_not(ctx: Context) -> None:
    with ctx.tx() as tx:
        there = {row[0] for row in tx.execute(TABLES, (list(PERSONS), list(NO_PERSONS))).fetchall()}
    given = {table for part in personal_data.PARTS for table in part.tables}

    assert sorted(there - given - personal_data.NOT_GIVEN.keys()) == []
    assert sorted(personal_data.NOT_GIVEN.keys() - there) == []
    assert given.isdisjoint(personal_data.NOT_GIVEN)
