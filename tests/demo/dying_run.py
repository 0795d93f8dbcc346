"""Run the demonstration and die in the middle: kill -9 of this process and of its PostgreSQL.

    python dying_run.py HOME RIDERS STAGE DELAY_MS WHOM

STAGE: where to die; ``none`` to live. DELAY_MS: how long after the stage began. WHOM: process, database or both.
With ``taken`` for STAGE it dies once so many (DELAY_MS) batches of payments were taken in, before that one goes on.
A run that lives ends with the figures of its day as one line of JSON.
"""

import itertools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hansa.apps.demo.run import DemoRun, NobodyWatches
from hansa.apps.demo.spec import Spec
from hansa.apps.open import opened
from hansa.kernel import FixedClock, SystemClock
from hansa.payments import paying


class Reaper(NobodyWatches):
    def __init__(self, home: Path, stage: str, delay_ms: int, whom: str) -> None:
        self.home, self.stage, self.delay_ms, self.whom = home, stage, delay_ms, whom

    def begin(self, stage: str, title: str, total: int | None, unit: str) -> None:
        if stage == self.stage:
            threading.Thread(target=self._strike, daemon=True).start()

    def count_payments(self) -> None:
        """Strike once so many batches of payments are taken in, none of the last being paid."""
        carry, taken = paying.carry, itertools.count(1)

        def counted(*given: Any, **named: Any) -> Any:
            if next(taken) == self.delay_ms:
                self.delay_ms = 0
                self._strike()
            return carry(*given, **named)

        paying.carry = counted

    def _strike(self) -> None:
        time.sleep(self.delay_ms / 1000)
        if self.whom in ("database", "both"):
            for file in self.home.rglob("postmaster.pid"):
                os.kill(int(file.read_text().split("\n", 1)[0]), signal.SIGKILL)
        if self.whom in ("process", "both"):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    home, riders, stage, delay_ms, whom = sys.argv[1:6]
    clock = FixedClock(SystemClock().now())
    with opened(Path(home), clock=clock) as ctx:
        reaper = Reaper(Path(home), stage, int(delay_ms), whom)
        if stage == "taken":
            reaper.count_payments()
        summary = DemoRun(ctx, clock, Spec(riders=int(riders)), Path(home), reaper).run()
    assert all(check.holds for check in summary.checks), summary.checks
    print(json.dumps(summary.cents()), flush=True)


if __name__ == "__main__":
    main()
