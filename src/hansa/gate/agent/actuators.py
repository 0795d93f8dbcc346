"""What a decision moves: lines on standard output, a program, or a pin. None can undo a decision or lose a tap."""

import json
import os
import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread
from typing import IO, Any, ClassVar, Protocol

from hansa.gate.agent.clock import steady_s
from hansa.gate.agent.wording import Words
from hansa.kernel import HansaError, in_utc

COMMAND_S = 2.0
"""How long a program may take to show a notice; then it is killed."""


class ActuatorFailed(HansaError):
    """The door or the screen did not do what it was told. The tap is kept all the same."""

    code: ClassVar[str] = "gate.actuator_failed"
    status: ClassVar[int] = 503


@dataclass(frozen=True, slots=True)
class Notice:
    """What the gate tells its door and the rider.

    reason: ``ok``, one of `codes.REASONS`, or ``out_of_order``. words: language and text, the rider's first.
    at: the gate's time, to be shown for ``clock_skew``. sequence: of the tap, where there is one.
    """

    opens: bool
    reason: str
    action: str
    words: Words
    at: datetime
    sequence: int | None = None

    def json(self) -> dict[str, Any]:
        """The notice as a line says it."""
        return {
            "open": self.opens,
            "reason": self.reason,
            "action": self.action,
            "at": in_utc(self.at).isoformat().replace("+00:00", "Z"),
            "sequence": self.sequence,
            "words": [{"language": language, "text": text} for language, text in self.words],
        }


class Actuator(Protocol):
    """Called from one thread."""

    def tell(self, notice: Notice) -> None:
        """Open or refuse, with words. Errors: ActuatorFailed."""
        ...

    def show_digits(self, digits: str | None) -> None:
        """Show four digits that phones must sign; None for none any more. Errors: ActuatorFailed."""
        ...

    def close(self) -> None:
        """Shut the door and go. Raises nothing."""
        ...


class LineActuator:
    """JSON lines to a stream such as standard output, each whole and at once."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, notice: Notice) -> None:
        """``{"open": true, "reason": "ok", ...}``"""
        self._write(notice.json())

    def show_digits(self, digits: str | None) -> None:
        """``{"digits": "0042"}``"""
        self._write({"digits": digits})

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise ActuatorFailed(f"Standard output cannot be written: {error}.") from error


class CommandActuator:
    """A program run for each notice, waited for at most two seconds, then killed with all that it started.

    Its last two arguments are ``open``, ``refuse`` or ``digits``, and the reason or the digits. In its environment
    HANSA_NOTICE is the line that `LineActuator` would write, HANSA_TEXT and HANSA_LANGUAGE are the rider's words.
    """

    def __init__(self, command: str, *, timeout_s: float = COMMAND_S) -> None:
        self._command = shlex.split(command)
        self._timeout_s = timeout_s

    def tell(self, notice: Notice) -> None:
        """Run it with ``open ok`` or ``refuse REASON``."""
        language, text = notice.words[0] if notice.words else ("", "")
        self._run(
            "open" if notice.opens else "refuse",
            notice.reason,
            {
                "HANSA_NOTICE": json.dumps(notice.json(), ensure_ascii=False),
                "HANSA_TEXT": text,
                "HANSA_LANGUAGE": language,
            },
        )

    def show_digits(self, digits: str | None) -> None:
        """Run it with ``digits 0042``, or with an empty last argument to show none."""
        self._run("digits", digits or "", {})

    def close(self) -> None:
        """Nothing of ours runs on."""

    def _run(self, word: str, reason: str, more: dict[str, str]) -> None:
        try:
            with subprocess.Popen(
                [*self._command, word, reason],
                env={**os.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            ) as program:
                try:
                    code = program.wait(self._timeout_s)
                except subprocess.TimeoutExpired as error:
                    raise ActuatorFailed(
                        f"{self._command[0]} took longer than {self._timeout_s} s and was ended."
                    ) from error
                finally:
                    with suppress(ProcessLookupError):
                        os.killpg(program.pid, signal.SIGKILL)
        except (OSError, ValueError) as error:
            raise ActuatorFailed(f"{self._command[0]} cannot be run: {error}.") from error
        if code != 0:
            raise ActuatorFailed(f"{self._command[0]} ended with code {code}.")


class PinActuator:
    """A pin as a file, such as a GPIO's value: ``1`` for the length of the pulse, then ``0``; ``0`` at start and end.

    The pulse ends by a thread of its own, so the next rider does not wait for it; an opening within it makes it longer.
    Errors: ActuatorFailed.
    """

    def __init__(self, path: Path, *, pulse_ms: int) -> None:
        self._path, self._pulse_s = path, pulse_ms / 1000
        self._condition = Condition()
        self._until: float | None = None
        self._failed: ActuatorFailed | None = None
        self._is_closed = False
        self._write(b"0\n")
        self._thread = Thread(target=self._end_pulses, name="hansa-gate-pin", daemon=True)
        self._thread.start()

    def tell(self, notice: Notice) -> None:
        """Pulse for an opening; a refusal moves nothing. Tells too of a pulse that could not be ended."""
        with self._condition:
            failed, self._failed = self._failed, None
            if notice.opens:
                self._write(b"1\n")
                self._until = steady_s() + self._pulse_s
                self._condition.notify()
        if failed is not None:
            raise failed

    def show_digits(self, digits: str | None) -> None:
        """A pin shows none. Errors: ActuatorFailed where some should be shown."""
        if digits is not None:
            raise ActuatorFailed("A pin shows no digits. Use a command, or set digits = false.")

    def close(self) -> None:
        """Shut, now."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()
        with suppress(ActuatorFailed):
            self._write(b"0\n")

    def _end_pulses(self) -> None:
        with self._condition:
            while not self._is_closed:
                left_s = None if self._until is None else self._until - steady_s()
                if left_s is None or left_s > 0:
                    self._condition.wait(left_s)
                    continue
                try:
                    self._write(b"0\n")
                    self._until = None
                except (
                    ActuatorFailed
                ) as error:  # told with the next notice; the pin must come down, so try again
                    self._failed = error
                    self._until = steady_s() + 1

    def _write(self, value: bytes) -> None:
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(fd, value)
            finally:
                os.close(fd)
        except OSError as error:
            raise ActuatorFailed(f"The pin {self._path} cannot be written: {error.strerror}.") from error
