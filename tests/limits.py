"""A limit for each test: one that hangs fails, tells where each thread stands, and the run goes on.

The limit is an alarm in the main thread, which ends its waiting for locks, children, sockets and the database. It rings
again until the test is over: what hangs a test often hangs its tear-down too, and hypothesis tries once more what
failed. It is left to the debugger's user how long to look. An example of a property has no limit of its own: whether it
takes 200 ms, as hypothesis asks, or is made up quickly enough, tells how busy the machine is.
"""

import signal
import sys
import threading
import traceback
from collections.abc import Generator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("hansa", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hansa")

LIMIT_S = 600.0
AGAIN_S = 60.0


def other_stacks() -> str:
    """Where each thread but the one that asks stands, the innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )


def limit_of(item: pytest.Item) -> float:
    """Seconds that a test may take, as its nearest mark ``limit`` says."""
    mark = item.get_closest_marker("limit")
    return LIMIT_S if mark is None else float(mark.args[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The whole of a test, its fixtures with it, within its limit."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or item.config.getoption("usepdb") or item.config.getoption("trace"):
        return (yield)
    limit_s = limit_of(item)

    def ring(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"{item.nodeid} takes longer than its {limit_s:g} s.\n{other_stacks()}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s, min(limit_s, AGAIN_S))
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
