"""A gate in one thread, to be killed at any of its writes: ``python powered.py CONFIG``, codes on standard input.

Each code is judged, then all that is due is exchanged. HANSA_KILL_AT=n: SIGKILL ends it before the n-th step, a SQLite
statement, a request that is sent, a file that is replaced. Without strace that is as near as one gets.
"""

import http.client
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from hansa.gate.agent.agent import Agent
from hansa.gate.agent.command import agent_of
from hansa.gate.agent.config import read_config


class Killer:
    """Counts, and kills at the number that was wished."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def step(self, *_: object) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(killer: Killer) -> None:
    connect, send, replace = sqlite3.connect, http.client.HTTPConnection.send, Path.replace

    def connected(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        connection.set_trace_callback(killer.step)
        return connection

    def sent(self: http.client.HTTPConnection, data: Any) -> None:
        killer.step()
        send(self, data)

    def replaced(self: Path, target: Any) -> Path:
        killer.step()
        return replace(self, target)

    sqlite3.connect = connected
    http.client.HTTPConnection.send = sent
    Path.replace = replaced


def exchange_all(agent: Agent) -> None:
    for task in agent._tasks.values():
        task.due_s = 0
    agent.exchange()


def main() -> None:
    killer = Killer(int(os.environ.get("HANSA_KILL_AT", "0")))
    arm(killer)
    agent = agent_of(read_config(Path(sys.argv[1])))
    exchange_all(agent)
    for line in sys.stdin:
        agent.show(line.strip())
        exchange_all(agent)
    agent.close()
    print(f"steps {killer.count}", file=sys.stderr)


if __name__ == "__main__":
    main()
