"""The demonstration's boxes come to its broker, say how they are, and are gone with it."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hansa import trust
from hansa.apps.demo.boxes import living_boxes, make_broker
from hansa.apps.devices.broker import NoMosquitto
from hansa.kernel import SystemClock
from hansa.store import Context
from web import little_league

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto here: `apt-get install mosquitto` runs this")
def test_boxes_say_how_they_are_until_the_pages_end(committed_ctx: Context, tmp_path: Path) -> None:
    ctx = replace(committed_ctx, clock=SystemClock())
    little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))
    folder = make_broker(tmp_path, ctx)

    with living_boxes(tmp_path, ctx, folder, count=2):
        until = time.monotonic() + 60
        while True:
            with ctx.tx() as tx:
                told = [one for one in trust.list_device_states(tx) if one.firmware is not None]
            if len(told) == 2 or time.monotonic() > until:
                break
            time.sleep(0.1)

    assert [one.device.roles for one in told] == [("simulated",)] * 2
    assert not (folder.path / "mosquitto.pid").exists()


def test_without_mosquitto_it_is_said(
    committed_ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType]

    with pytest.raises(NoMosquitto):
        make_broker(tmp_path, committed_ctx)

    assert list(tmp_path.iterdir()) == []
