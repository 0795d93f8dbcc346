"""Boxes of the demonstration: a broker, its desk, and made-up gates that say how they are, while pages are served."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

from hansa import trust
from hansa.apps.devices import simulate
from hansa.apps.devices.broker import Access, BrokerFolder, find_mosquitto, registrar_of
from hansa.apps.devices.desk import desk_of
from hansa.store import Context

BOXES = 30
EVERY = timedelta(seconds=10)
HOST = "127.0.0.1"


def make_broker(home: Path, ctx: Context) -> BrokerFolder:
    """The broker's folder of this demonstration, at a port that is free now. Errors: NoMosquitto."""
    find_mosquitto()
    now = ctx.clock.now()
    keys = trust.KeyFolder(home / "keys")
    ca = trust.DeviceCa.in_folder(home / "keys", now)
    folder = BrokerFolder(home / "broker")
    folder.make(
        ca,
        root_public=keys.league_root().public_key().public_bytes_raw(),
        host=HOST,
        port=_free_port(),
        names=["localhost"],
        at=now,
        bind=HOST,
    )
    folder.desk_files(ca, "main", now)
    with ctx.tx() as tx:
        folder.write_access(ca, Access.read(tx, now), now)
    return folder


@contextmanager
def living_boxes(home: Path, ctx: Context, folder: BrokerFolder, count: int = BOXES) -> Generator[None]:
    """The broker, the desk and the boxes at work; all of them end with the block."""
    now = ctx.clock.now()
    keys = trust.KeyFolder(home / "keys")
    registrar = registrar_of(home, now)
    assert registrar is not None, "the folder was just made"
    boxes = simulate.make_boxes(ctx, registrar, keys.lists().public_key(), home / "simulated", count, seed=1)
    stop = Event()
    life = Thread(
        target=simulate.run, args=(ctx, boxes, stop), kwargs={"every": EVERY}, name="hansa-boxes", daemon=True
    )
    broker = folder.start()
    try:
        with desk_of(ctx, folder, registrar.ca, keys):
            life.start()
            try:
                yield
            finally:
                stop.set()
                life.join(timeout=15)
    finally:
        broker.terminate()
        broker.wait(timeout=15)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])
