"""Drives any verifier as a program: a question on its standard input, an answer on its standard output."""

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, Queue, SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, ClassVar

from hansa.codes import REASONS
from hansa.gate.conformance.bench import DENY_REFUSED, LIST_REFUSED, SETTINGS_REFUSED, Question
from hansa.gate.model import OK
from hansa.kernel import HansaError

ANSWER_BYTES_MAX = 65_536
"""An answer is one short line; a program that writes on and on is stopped here."""

_ANSWERS = {OK, LIST_REFUSED, DENY_REFUSED, SETTINGS_REFUSED, *REASONS}
_ERRORS_KEPT = 12
_ANSWERS_AHEAD = 256  # a program that answers what was not asked waits here
_GRACE_S = 2.0


class VerifierFailed(HansaError):
    """The program could not be asked to the end: it did not start, stopped, hung, or wrote what is no answer."""

    code: ClassVar[str] = "gate.verifier_failed"
    status: ClassVar[int] = 502


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that is not the kit's."""

    question: Question
    answer: str

    @property
    def lets_in(self) -> bool:
        """Whether something was taken that must be refused: what fraud is made of."""
        return self.answer == OK and self.question.expect != OK

    @property
    def shuts_out(self) -> bool:
        """Whether something was refused that must be taken: what queues are made of."""
        return self.answer != OK and self.question.expect == OK


@dataclass(slots=True)
class Report:
    """What came of a run. broke_off: why it ended before the last question, if it did."""

    questions: int
    answered: int = 0
    wrong: list[Wrong] = field(default_factory=list[Wrong])
    by_area: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    slowest_ms: float = 0.0
    took_s: float = 0.0
    broke_off: str = ""

    @property
    def let_in(self) -> list[Wrong]:
        """Codes or lists taken that must be refused."""
        return [wrong for wrong in self.wrong if wrong.lets_in]

    @property
    def shut_out(self) -> list[Wrong]:
        """Codes or lists refused that must be taken."""
        return [wrong for wrong in self.wrong if wrong.shuts_out]

    @property
    def misnamed(self) -> list[Wrong]:
        """Rightly refused, for another reason than the specification's."""
        return [wrong for wrong in self.wrong if not wrong.lets_in and not wrong.shuts_out]

    @property
    def is_safe(self) -> bool:
        """Whether every verdict was right, whatever the reasons."""
        return not self.broke_off and not self.let_in and not self.shut_out

    @property
    def conforms(self) -> bool:
        """Whether every verdict and every reason was right."""
        return not self.broke_off and not self.wrong

    def json(self) -> dict[str, Any]:
        """The report for a machine."""
        return {
            "conforms": self.conforms,
            "safe": self.is_safe,
            "questions": self.questions,
            "answered": self.answered,
            "areas": {
                area: {"asked": asked, "right": right} for area, (asked, right) in self.by_area.items()
            },
            "slowest_ms": round(self.slowest_ms, 3),
            "took_s": round(self.took_s, 3),
            "broke_off": self.broke_off or None,
            "wrong": [
                {"case": wrong.question.case, "expect": wrong.question.expect, "answer": wrong.answer}
                for wrong in self.wrong
            ],
        }


def run(
    program: Sequence[str],
    asked: Sequence[Question],
    *,
    timeout_s: float = 5.0,
    start_s: float = 30.0,
    told: Callable[[int], None] = lambda _done: None,
) -> Report:
    """Ask the program everything.

    timeout_s: how long an answer may take; start_s: the first one, while the program starts. told: is called with the
    number of answers so far.

    A program that breaks the protocol ends the run; the report says how, with what it wrote to its standard error.
    Errors: VerifierFailed when it cannot even be started.
    """
    report = Report(len(asked))
    began = time.perf_counter()
    with started(program) as verifier:
        try:
            for number, question in enumerate(asked, 1):
                asked_at = time.perf_counter()
                answer = verifier.ask(number, question, timeout_s if number > 1 else start_s)
                if number > 1:  # the first answer waits for the program to start
                    report.slowest_ms = max(report.slowest_ms, (time.perf_counter() - asked_at) * 1000)
                _count(report, question, answer)
                told(number)
        except VerifierFailed as failure:
            report.broke_off = str(failure)
    report.took_s = time.perf_counter() - began
    return report


def _count(report: Report, question: Question, answer: str) -> None:
    report.answered += 1
    counts = report.by_area.setdefault(question.case.partition("/")[0], [0, 0])
    counts[0] += 1
    if answer == question.expect:
        counts[1] += 1
    else:
        report.wrong.append(Wrong(question, answer))


@contextmanager
def started(program: Sequence[str]) -> "Generator[Program]":
    """The program, running; ended at the end. Errors: VerifierFailed when it cannot be started."""
    try:
        process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise VerifierFailed(
            f"{program[0]} cannot be started: {error.strerror}. Give the path of a program, then its arguments."
        ) from None
    verifier = Program(process)
    try:
        yield verifier
    finally:
        verifier.end()


class Program:
    """A program that answers. Threads read and write its pipes, so that nothing it does can hang the runner."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._answers: Queue[bytes] = Queue(_ANSWERS_AHEAD)
        self._questions: SimpleQueue[bytes] = SimpleQueue()
        self._errors: deque[bytes] = deque(maxlen=_ERRORS_KEPT)
        self._stderr = Thread(target=_read, args=(process.stderr, self._errors.append), daemon=True)
        threads = (
            Thread(target=_read, args=(process.stdout, self._answers.put), daemon=True),
            Thread(target=self._write, args=(process.stdin,), daemon=True),
            self._stderr,
        )
        for thread in threads:
            thread.start()

    def ask(self, number: int, question: Question, timeout_s: float) -> str:
        """The program's reason. Errors: VerifierFailed."""
        self._questions.put(json.dumps({"id": number, **question.ask}).encode() + b"\n")
        where = f"question {number}, {question.case}"
        try:
            line = self._answers.get(timeout=timeout_s)
        except Empty:
            raise self._failed(
                f"No answer within {timeout_s:g} s to {where}. Does the program write its output through "
                "(flush) after each line?"
            ) from None
        if not line:
            raise self._failed(f"The program ended{self._ending()} instead of answering {where}.")
        if not line.endswith(b"\n"):
            raise self._failed(f"The answer to {where} is no line: {_shown(line)}")
        return self._reason(line, number, where)

    def end(self) -> None:
        """Let the program go: first by the end of its input, then by force, with all that it started."""
        self._questions.put(b"")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GRACE_S if not self._answers.full() else 0)
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:  # Windows
                self._process.kill()
        self._process.wait()

    def _reason(self, line: bytes, number: int, where: str) -> str:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise self._failed(
                f"The answer to {where} is no JSON: {_shown(line)} "
                "Only answers go to standard output; anything else to standard error."
            ) from None
        if not isinstance(answer, dict) or "id" not in answer or "reason" not in answer:
            raise self._failed(
                f'The answer to {where} is not of the form {{"id": {number}, "reason": "ok"}}: {_shown(line)}'
            )
        if answer["id"] != number or isinstance(answer["id"], bool):
            raise self._failed(
                f"The answer to {where} has the id {_shown(answer['id'])}, not {number}. "
                "Each question gets one answer, in order."
            )
        reason = answer["reason"]
        if not isinstance(reason, str) or reason not in _ANSWERS:
            raise self._failed(
                f"The answer to {where} has the reason {_shown(reason)}, which HRC-1 does not have. "
                f"There are: {', '.join(sorted(_ANSWERS))}."
            )
        return reason

    def _ending(self) -> str:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return " its output"
        return f" by signal {-code}" if code < 0 else f" with exit code {code}"

    def _failed(self, why: str) -> VerifierFailed:
        if self._process.poll() is not None:
            self._stderr.join(timeout=1)
        errors = b"".join(self._errors).decode(errors="replace").strip()
        return VerifierFailed(why + (f"\nIt wrote to its standard error:\n{errors}" if errors else ""))

    def _write(self, pipe: BinaryIO) -> None:
        with suppress(OSError), pipe:  # a program that has ended is told by reading
            while question := self._questions.get():
                pipe.write(question)
                pipe.flush()


def _read(pipe: BinaryIO, put: Callable[[bytes], object]) -> None:
    """Hand on what comes, line by line, and nothing at the end."""
    with suppress(OSError), pipe:
        while line := pipe.readline(ANSWER_BYTES_MAX):
            put(line)
    put(b"")


def _shown(value: object) -> str:
    text = value.decode(errors="replace").rstrip("\n") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]} ..."
