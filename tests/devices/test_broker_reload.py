"""A broker is told to read its files anew, and one that is just starting is not ended by it."""

import subprocess
import sys
from pathlib import Path

from hansa.apps.devices.broker import BrokerFolder

SLOW_STARTER = """
import signal, sys, time
time.sleep(0.5)
signal.signal(signal.SIGHUP, lambda *_: (print("heard", flush=True), sys.exit(0)))
time.sleep(30)
"""


def test_a_broker_that_is_just_starting_hears_when_it_can(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW_STARTER], stdout=subprocess.PIPE, text=True) as broker:
        (tmp_path / "mosquitto.pid").write_text(f"{broker.pid}\n")

        assert BrokerFolder(tmp_path).reload()

        assert broker.communicate(timeout=60)[0] == "heard\n"


def test_without_a_broker_nobody_is_told(tmp_path: Path) -> None:
    assert not BrokerFolder(tmp_path).reload()
    (tmp_path / "mosquitto.pid").write_text("nonsense")
    assert not BrokerFolder(tmp_path).reload()
