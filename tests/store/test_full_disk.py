"""A full disk is told, nothing is half done, and it works again as soon as there is room."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from disks import SmallDisk
from hansa.kernel import HansaError
from hansa.store import DataFolderUnfit, EmbeddedServer, StoreFull, open_context

SMALL = {"shared_buffers": "16MB", "wal_buffers": "1MB", "fsync": "off"}


def test_a_start_on_a_full_disk_is_refused_and_works_when_there_is_room(small_disk: SmallDisk) -> None:
    disk = small_disk(100)
    (disk / "ballast").write_bytes(bytes(90 * 2**20))
    server = EmbeddedServer(disk / "home", settings=SMALL)

    with pytest.raises(DataFolderUnfit, match="is full"):
        server.start()
    (disk / "ballast").unlink()
    server.start()
    server.stop()


def test_a_transaction_that_fills_the_disk_is_told_so_and_leaves_nothing(small_disk: SmallDisk) -> None:
    disk = small_disk(8)
    (disk / "ballast").write_bytes(bytes(4 * 2**20))
    home = Path(tempfile.mkdtemp(prefix="hansa-store-"))
    home.chmod(0o755)
    with EmbeddedServer(home, settings=SMALL) as server, open_context(server.url) as context:
        if os.geteuid() == 0:
            shutil.chown(disk, "hansa", "hansa")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(disk))))
        with context.tx() as tx:
            tx.execute("create table parcel (id int, label text) tablespace small")
            tx.execute("insert into parcel values (1, 'first')")

        with pytest.raises(StoreFull), context.tx() as tx:
            tx.execute("insert into parcel select g, repeat('x', 1000) from generate_series(2, 9000) g")
        with context.tx() as tx:
            after = tx.execute("select count(*) from parcel").fetchone()
        (disk / "ballast").unlink()
        with context.tx() as tx:
            tx.execute("insert into parcel select g, repeat('x', 1000) from generate_series(2, 1000) g")
            again = tx.execute("select count(*) from parcel").fetchone()
            tx.execute("drop table parcel")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("drop tablespace small")

    shutil.rmtree(home)
    assert (after, again) == ((1,), (1000,))


@pytest.mark.parametrize("megabytes", [105, 110])
def test_a_stop_while_the_log_fills_the_disk_ends_and_what_was_committed_is_there_when_there_is_room(
    small_disk: SmallDisk, megabytes: int
) -> None:
    disk = small_disk(megabytes)
    server = EmbeddedServer(disk / "home", settings=SMALL)
    server.start()
    server.keep_running()
    url = server.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table gate (id int primary key, said text)")
        connection.execute("insert into gate select g, '' from generate_series(1, 2000) g")

    def chatter(part: int) -> None:
        say = "update gate set said = repeat(md5(random()::text), 20) where id %% 8 = %s"
        with contextlib.suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as connection:
            while True:
                connection.execute(say, (part,))

    gates = [threading.Thread(target=chatter, args=(part,)) for part in range(4)]
    for gate in gates:
        gate.start()
    for gate in gates:
        gate.join()
    began = time.monotonic()
    server.stop()
    with contextlib.suppress(HansaError):
        server.start()
    server.stop()
    took_s = time.monotonic() - began

    subprocess.run(["mount", "-o", "remount,size=300m", disk], check=True)
    with server, psycopg.connect(server.url) as connection:
        kept = connection.execute("select count(*) from gate").fetchone()
    assert took_s < 120
    assert kept == (2000,)
