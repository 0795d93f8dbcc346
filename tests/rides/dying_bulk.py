"""A process that rates and posts by the column until it is killed: ``python dying_bulk.py URL``."""

import sys
from datetime import UTC, datetime

from hansa import rides
from hansa.kernel import FixedClock
from hansa.rides import bulk
from hansa.store import open_context


def main() -> None:
    bulk.FEW, bulk.CHUNK, bulk.RUN_MAX = 1, 6, 4
    with open_context(sys.argv[1], clock=FixedClock(datetime(2026, 11, 19, 12, tzinfo=UTC))) as ctx:
        print("begun", flush=True)
        while True:
            rides.rate(ctx, limit=6)
            rides.post_charges(ctx, limit=4)


if __name__ == "__main__":
    main()
