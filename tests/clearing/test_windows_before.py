"""A database of the time when clearing knew business days alone: its days are windows of the model ``daily``."""

import shutil
from pathlib import Path

from clearing.example_day import DAY
from hansa import clearing, settlement
from hansa.apps.rooms import SQL_FOLDERS
from hansa.store import migrate, open_context
from scratch import ScratchServer

BEFORE = {"clearing": 1, "settlement": 4}
"""The last migration of each room in that time."""

ROWS = """
insert into ledger.heads (partition, number, hash, booked_at, size, peaks)
values (0, 9, decode(repeat('00', 32), 'hex'), '2026-11-18', 20, '');
insert into clearing.position_accounts
values (0, '00000000-0000-8000-8000-000000000001', 'beijing-card', 'hangzhou-metro', 'CNY');
insert into clearing.days (day, ends_at, decided_at) values
    ('2026-11-16', '2026-11-16 20:00Z', '2026-11-16 20:00Z'), ('2026-11-17', '2026-11-17 20:00Z', '2026-11-17 20:01Z');
insert into clearing.watermarks values ('2026-11-16', 0, 0, 4), ('2026-11-17', 0, 4, 9);
insert into clearing.positions
values ('2026-11-17', 'beijing-card', 'hangzhou-metro', 'CNY', 0, 1, 500, 120, 30, 493, 6, 1, 'beijing', 'hangzhou');
insert into clearing.net_positions values
    ('2026-11-17', 'CNY', 'beijing', -494), ('2026-11-17', 'CNY', 'hangzhou', 493), ('2026-11-17', 'CNY', 'league', 1);
insert into clearing.day_totals values ('2026-11-17', 'CNY', 1, 500, 6, 1, 0, 494);
insert into clearing.closings values ('2026-11-16', '2026-11-16 20:00Z'), ('2026-11-17', '2026-11-17 20:01Z');
insert into settlement.instructions
    (end_to_end_id, day, currency, member_id, direction, amount_minor, message_id, name, account)
values ('HANSA-20261117-CNY-beijing', '2026-11-17', 'CNY', 'beijing', 'in', 494, 'HANSA-20261117-CNY', 'B', '1');
insert into settlement.files
    (message_id, day, currency, created_at, holder, account, control_sum_minor, transactions, digest)
values ('HANSA-20261117-CNY', '2026-11-17', 'CNY', '2026-11-17 20:01Z', 'L', '2', 494, 1,
    decode(repeat('00', 32), 'hex'));
insert into settlement.settled values ('2026-11-17', 'CNY', '2026-11-19 08:00Z');
"""


def test_days_of_before_are_windows_of_the_business_day(
    scratch_server: ScratchServer, tmp_path: Path
) -> None:
    name = f"{scratch_server.prefix}_before"
    scratch_server.make(name, template="template0")
    try:
        url = scratch_server.url_of(name)
        for room, folder in SQL_FOLDERS.items():
            old = tmp_path / room / "sql"
            old.mkdir(parents=True)
            for file in folder.glob("*.sql"):
                if int(file.name[:4]) <= BEFORE.get(room, 9_999):
                    shutil.copy(file, old)
        rooms = [room for room in SQL_FOLDERS if room not in ("rides", "risk", "disputes", "insights")]
        migrate(url, [tmp_path / room / "sql" for room in rooms])
        with open_context(url) as ctx, ctx.tx() as tx:
            tx.execute(ROWS)

        migrate(url, [SQL_FOLDERS[room] for room in rooms])

        with open_context(url) as ctx, ctx.tx() as tx:
            days = clearing.list_days(tx)
            [position] = clearing.positions(tx, DAY)
            nets = clearing.net_positions(tx, DAY)
            files = settlement.list_files(tx, DAY)
            progress = settlement.progress(tx, DAY)
            open_row = tx.execute(
                "select code, minor from clearing.tallies where minor <> 0 union all"
                " select block, 0 from clearing.followed"
            ).fetchall()
    finally:
        scratch_server.drop(name)
    assert [(one.window_id, one.number, one.status) for one in days] == [
        ("daily-20261117", 2, "settled"),
        ("daily-20261116", 1, "closed"),
    ]
    assert (position.day, position.window_id, position.gross) == (DAY, "daily-20261117", 500)
    assert [one.net for one in nets] == [-494, 493, 1]
    assert [file.window_id for file in files] == ["daily-20261117"]
    assert progress == {"CNY": settlement.Progress.SETTLED}
    assert open_row == [
        (0, 500),
        (9, 0),
    ]  # what the last day took stands until it is booked; followed to its end
