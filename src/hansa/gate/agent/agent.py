"""The agent: judges what is scanned, moves the door, and in a thread of its own deals with the back office.

What a code decides needs no network and waits for none. The exchange runs beside it: the clock, lists, taps, what was
refused; each with a rhythm of its own, and with growing pauses while nobody answers.
"""

import logging
import random
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any, Protocol

from hansa import __version__
from hansa.codes import CHALLENGE_MAX, DenyListRefused, SettingsRefused, TrustListRefused
from hansa.gate.agent.actuators import Actuator, ActuatorFailed, Notice
from hansa.gate.agent.aside import Aside
from hansa.gate.agent.clock import GateClock, steady_s
from hansa.gate.agent.config import Config, ConfigRefused
from hansa.gate.agent.deny import DenyListBroken
from hansa.gate.agent.folder import Folder, FolderUnusable
from hansa.gate.agent.handing import HandIn
from hansa.gate.agent.health import OFF_FROM_S, STORAGE_LOW_PCT, Health
from hansa.gate.agent.link import Link, LinkDown
from hansa.gate.agent.lists import NO_TRUST_LIST, Lists
from hansa.gate.agent.refusals import Refusals, Tell
from hansa.gate.agent.sources import Source
from hansa.gate.agent.wording import OUT_OF_ORDER, Words, words_of
from hansa.gate.gate import Gate
from hansa.gate.model import Decision, rider_of
from hansa.gate.state import FileState, StateBroken, StateFailed
from hansa.kernel import InvalidInput

logger = logging.getLogger("hansa.gate")

STATE, ASIDE = "gate.db", "aside.db"

SAME_TEXT_S = 3.0
"""A text is judged anew only when it was out of sight for so long: a phone held before a camera is one attempt."""

DIGITS_S = 30.0
TELL_POLL_S, AGAIN_POLL_S, TELEMETRY_S, FORGET_S = 10.0, 60.0, 60.0, 3600.0
HAND_IN_S = 1.0
PAUSE_MAX_S = 60.0
ASKED_PAUSE_MAX_S = 900.0
"""The longest that we let the back office put us off; a mistaken answer must not silence a gate for days."""

LAST_HAND_IN_S = 5.0
_SEEN_MAX = 8


class League(Protocol):
    """What is fetched from the league, and told it, over HTTP (`link.HttpLink`). Errors of each: LinkDown."""

    def trust_list(self) -> bytes | None: ...
    def deny_update(self, since: int) -> bytes: ...
    def clock(self) -> datetime: ...
    @property
    def tell_refusals(self) -> Tell: ...
    @property
    def tell_refused_codes(self) -> Tell: ...
    def close(self) -> None: ...


class Push(Link, Protocol):
    """The link by which the league tells of things at once (`mqtt.MqttLink`)."""

    def start(self) -> None: ...
    def close(self) -> None: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def tell_refusals(self) -> Tell: ...
    @property
    def tell_refused_codes(self) -> Tell: ...
    def tell(self, telemetry: Mapping[str, Any]) -> None: ...
    def tell_seen(self, rider: bytes, counter: int, expires_at: datetime) -> None: ...


@dataclass(slots=True)
class _Task:
    """Something done again and again. every_s: the pause after it went well."""

    do: Callable[[], object]
    every_s: Callable[[], float]
    due_s: float = 0.0
    failures: int = 0


class Agent:
    """A gate from its folder. ``run`` it on a source; or ``show`` texts and call ``exchange``, as tests do.

    league: the HTTP side. steady: seconds that only go forward. Errors: FolderTaken, FolderUnusable, WrongGate,
    StateFailed (a disk that cannot be written; a damaged state file is no error but puts the gate out of order).
    """

    def __init__(
        self,
        config: Config,
        actuator: Actuator,
        league: League,
        *,
        links: Sequence[Link] = (),
        clock: GateClock | None = None,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self.config = config
        self.clock = clock if clock is not None else GateClock()
        self._actuator, self._league, self._steady = actuator, league, steady
        self._push: Push | None = None
        self._telling = RLock()
        self._stopped, self._wake = Event(), Event()
        self._thread: Thread | None = None
        self._started_s = steady()
        self._exchanged_s: float | None = None
        self._faults: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self._digits: int | None = None
        self._digits_due_s = 0.0
        self._decide_ns = 0
        self._source: Source | None = None
        self.refusals = Refusals(config.identity.gate_id)

        self._folder = Folder(config.state_folder)
        self.lists = Lists(
            self._folder,
            config.roots,
            device_id=config.device_id,
            adjustable=config.adjustable,
            now=self.clock.now,
        )
        self.clock.not_before(self.lists.trust_list.issued_at)
        if self.lists.deny_list.issued_at is not None:
            self.clock.not_before(self.lists.deny_list.issued_at)
        self.state = self._open_state()
        self.gate = self._make_gate()
        self.aside = self._open_aside()
        self.hand_in = (
            HandIn(self.gate, self.aside, links, now=self.clock.now) if self.gate is not None else None
        )
        self._tasks = {
            "clock": _Task(self._ask_clock, lambda: self.lists.adjustable.clock_poll_s),
            "trust list": _Task(self._fetch_trust_list, lambda: self.lists.adjustable.trust_poll_s),
            "deny list": _Task(self._fetch_deny_list, lambda: self.lists.adjustable.deny_poll_s),
            "taps": _Task(self._hand_in, lambda: HAND_IN_S),
            "refusals": _Task(self._tell_refusals, lambda: TELL_POLL_S),
            "taps put aside": _Task(self._offer_again, lambda: AGAIN_POLL_S),
            "telemetry": _Task(self._tell_telemetry, self._until_telemetry_s),
            "ended tokens": _Task(self.lists.forget_ended, lambda: FORGET_S),
        }

    # -- a code at the gate -----------------------------------------------------------------------------------

    def run(self, source: Source) -> None:
        """Judge what the source gives until it ends or ``stop`` is called; then hand in and close."""
        self._source = source
        self.start()
        try:
            for text in source.texts(self._stopped):
                self.show(text)
        finally:
            self.close()

    def show(self, text: str) -> Notice | None:
        """Judge a scanned text, and tell the door and the rider. None for one that has just been judged.

        Whatever is wrong with the text, the disk or the door, nothing is raised: the gate says that it is out of order.
        """
        if self._was_just_shown(text):
            return None
        with self._telling:
            notice, decision = self._judge(text)
            try:
                self._actuator.tell(notice)
            except ActuatorFailed as error:
                self._fault("actuator_failed", error.detail)
            else:
                self._faults.pop("actuator_failed", None)
            if self._digits is not None:
                self._renew_digits()
        if decision is not None and decision.accepted and self._push is not None:
            assert decision.shown is not None
            shown = decision.shown
            self._push.tell_seen(rider_of(shown), shown.counter, shown.token_expires_at)
        return notice

    def _judge(self, text: str) -> tuple[Notice, Decision | None]:
        now = self.clock.now()
        if self.gate is None or self._out_of_order():
            return self._notice(now, None), None
        try:
            decision = self.gate.decide(text, now, challenge=self._digits, online=self.is_online)
        except StateFailed as error:
            self._fault(
                "deny_list_broken" if isinstance(error, DenyListBroken) else "state_failed", error.detail
            )
            self._seen.pop(text, None)
            return self._notice(now, None), None
        self._faults.pop("state_failed", None)
        self._decide_ns += decision.took_ns
        if decision.tap is not None:
            self.clock.not_before(decision.tap.tapped_at)
        else:
            self.refusals.add(decision, now)
        return self._notice(now, decision), decision

    def _notice(self, now: datetime, decision: Decision | None) -> Notice:
        action = self.config.identity.action
        if decision is None:
            return Notice(False, OUT_OF_ORDER, action, self._words(OUT_OF_ORDER, None), now)
        word = action if decision.accepted else decision.reason
        issuer = decision.shown.issuer_id if decision.shown is not None else None
        sequence = decision.tap.sequence if decision.tap is not None else None
        return Notice(decision.accepted, decision.reason, action, self._words(word, issuer), now, sequence)

    def _words(self, word: str, issuer_id: str | None) -> Words:
        said = self.lists.adjustable
        riders = said.languages.get(issuer_id) if issuer_id is not None else None
        return words_of(word, [riders, said.language] if riders is not None else [said.language])

    def _was_just_shown(self, text: str) -> bool:
        now_s = self._steady()
        last_s = self._seen.pop(text, None)
        self._seen[text] = now_s
        while len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return last_s is not None and now_s - last_s < SAME_TEXT_S

    def _renew_digits(self) -> None:
        wanted = self.lists.adjustable.digits
        if not wanted and self._digits is None:
            return
        self._digits = secrets.randbelow(CHALLENGE_MAX + 1) if wanted else None
        self._digits_due_s = self._steady() + DIGITS_S
        try:
            self._actuator.show_digits(None if self._digits is None else f"{self._digits:04}")
        except ActuatorFailed as error:
            self._fault("actuator_failed", error.detail)

    # -- what comes down ------------------------------------------------------------------------------------

    def take_trust_list(self, data: bytes) -> None:
        """A trust list came. One that may not be used is told in health and changes nothing."""
        try:
            self.lists.take_trust_list(data)
        except (TrustListRefused, FolderUnusable) as error:
            self._fault("list_refused", error.detail)
        else:
            self._faults.pop("list_refused", None)

    def take_deny_update(self, data: bytes) -> None:
        """An update of the deny list came. One that may not be used is told in health; one with a gap has the list
        asked for at once."""
        try:
            self.lists.take_deny_update(data)
        except DenyListRefused as error:
            self._fault("list_refused", error.detail)
            self._hasten("deny list")
        except DenyListBroken as error:
            self._fault("deny_list_broken", error.detail)
            self._hasten("deny list")
        else:
            self._faults.pop("list_refused", None)

    def take_settings(self, data: bytes) -> None:
        """Settings came. Those that may not be used are told in health and change nothing."""
        try:
            self.lists.take_settings(data)
        except (SettingsRefused, ConfigRefused, FolderUnusable) as error:
            self._fault("settings_refused", str(error))
        else:
            self._faults.pop("settings_refused", None)

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """A neighbour gate of the station let this counter in."""
        if self.gate is None:
            return
        try:
            self.gate.hear(rider, counter, expires_at)
        except InvalidInput as error:
            logger.warning("A neighbour gate says what cannot be: %s", error)
        except StateFailed as error:
            self._fault("state_failed", error.detail)

    # -- the exchange ---------------------------------------------------------------------------------------

    def join(self, push: Push) -> None:
        """Be told by this link too, from ``start`` on; taps go by it, and by the others while it is away."""
        self._push = push
        if self.hand_in is not None:
            self.hand_in.prefer(push)

    def start(self) -> None:
        """Begin to exchange with the back office."""
        if self._push is not None:
            self._push.start()
        self._thread = Thread(target=self._exchange_on, name="hansa-gate-exchange", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have ``run`` end after the code in hand. May be called from a signal's handler."""
        self._stopped.set()
        self._wake.set()

    def exchange(self) -> None:
        """Do what is due by now; less of it once the program is told to end."""
        for name, task in self._tasks.items():
            if self._steady() >= task.due_s and not self._stopped.is_set():
                self._do(name, task)
        with self._telling:
            if self.lists.adjustable.digits != (self._digits is not None) or (
                self._digits is not None and self._steady() >= self._digits_due_s
            ):
                self._renew_digits()

    def close(self) -> None:
        """Hand in what there is, as far as somebody answers; say goodbye; close the files and shut the door."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        if self._thread is not None and self.hand_in is not None:
            until_s = self._steady() + LAST_HAND_IN_S
            with suppress(LinkDown, StateFailed):
                while self._steady() < until_s and self.hand_in.one_batch():
                    pass
                self._tell_refusals()
        if self._push is not None:
            self._push.tell(self.health().telemetry())
            self._push.close()
        self._league.close()
        self._actuator.close()
        self.lists.close()
        self.aside.close()
        if self.state is not None:
            self.state.close()
        self._folder.close()

    def _exchange_on(self) -> None:
        while not self._stopped.is_set():
            try:
                self.exchange()
            except Exception:  # a fault of ours must not end the exchange, for the gate would grow old unseen
                logger.exception("The exchange with the back office failed.")
                self._stopped.wait(HAND_IN_S)
            wait_s = max(0.0, min(task.due_s for task in self._tasks.values()) - self._steady())
            if self._wake.wait(min(wait_s, HAND_IN_S)) and not self._stopped.is_set():
                self._wake.clear()
                self._stopped.wait(0.05)  # what comes together goes together

    def _do(self, name: str, task: _Task) -> None:
        try:
            task.do()
        except LinkDown as error:
            task.failures += 1
            if error.retry_after_s is not None:
                asked_s = max(error.retry_after_s, HAND_IN_S)
                pause_s = min(ASKED_PAUSE_MAX_S, asked_s) * random.uniform(1, 1.25)
            else:
                pause_s = min(PAUSE_MAX_S, 2.0 ** min(task.failures - 1, 10)) * random.uniform(0.5, 1)
            task.due_s = self._steady() + pause_s
            if task.failures == 1:
                logger.warning("%s: %s; again in %.1f s", name, error.detail, pause_s)
            if name == "taps":
                self._faults["hand_in_failed"] = error.detail
        except (StateFailed, FolderUnusable) as error:
            task.due_s = self._steady() + PAUSE_MAX_S
            self._fault(
                "deny_list_broken" if isinstance(error, DenyListBroken) else "state_failed", error.detail
            )
        else:
            if task.failures:
                logger.info("%s: well again after %s failures", name, task.failures)
            task.failures = 0
            task.due_s = self._steady() + task.every_s()
            if name == "taps":
                self._faults.pop("hand_in_failed", None)

    def _hasten(self, name: str) -> None:
        task = self._tasks[name]
        if not task.failures:
            task.due_s = 0.0
            self._wake.set()

    def _ask_clock(self) -> None:
        offset_s = self.clock.ask(self._league.clock)
        if abs(offset_s) > OFF_FROM_S:
            self._fault("clock_off", f"It was off by {offset_s:.1f} s.")
        else:
            self._faults.pop("clock_off", None)

    def _fetch_trust_list(self) -> None:
        data = self._league.trust_list()
        if data is not None:
            self.take_trust_list(data)

    def _fetch_deny_list(self) -> None:
        """Ask for what is new, unless it is being told; a file that is broken is begun anew, with the whole list."""
        if "deny_list_broken" in self._faults:
            self.lists.renew_deny_list()
            del self._faults["deny_list_broken"]
        if self.lists.trust_list.list_key is None or self._is_told():
            return
        data = self._league.deny_update(self.lists.deny_since)
        try:
            self.lists.take_deny_update(data)
        except DenyListRefused as error:
            self._fault("list_refused", error.detail)
        else:
            self._faults.pop("list_refused", None)

    def _is_told(self) -> bool:
        """Whether the deny list comes by itself: a link is up, and a fresh word came within the rhythm of asking."""
        if self._push is None or not self._push.is_up or not self.lists.is_deny_list_believed:
            return False
        issued_at = self.lists.deny_list.issued_at
        poll = timedelta(seconds=self.lists.adjustable.deny_poll_s)
        return issued_at is not None and self.clock.now() - issued_at < poll

    def _hand_in(self) -> None:
        """Hand in all that waits, batch after batch. With nothing waiting, taps count as exchanged."""
        if self.hand_in is None:
            return
        while self.hand_in.one_batch() and not self._stopped.is_set():
            self._exchanged_s = self._steady()
        self._exchanged_s = self._steady()

    def _tell_refusals(self) -> None:
        """By HTTP, or by the other link where there is no key for it."""
        by = self._league if self.config.api_key is not None else self._push
        if by is not None:
            self.refusals.tell_counts(by.tell_refusals, self.clock.now())
            self.refusals.tell_codes(by.tell_refused_codes)

    def _offer_again(self) -> None:
        if self.hand_in is not None:
            self.hand_in.offer_again()

    def _until_telemetry_s(self) -> float:
        """Soon again while nobody heard it."""
        return TELEMETRY_S if self._push is None or self._push.is_up else HAND_IN_S

    def _tell_telemetry(self) -> None:
        if self._push is not None:
            self._push.tell(self.health().telemetry())

    # -- how it is ------------------------------------------------------------------------------------------

    @property
    def is_online(self) -> bool:
        """Whether the deny list is fresh and taps went out, each within offline_after_s."""
        issued_at, said = self.lists.deny_list.issued_at, self.lists.adjustable
        if issued_at is None or self._exchanged_s is None or not self.lists.is_deny_list_believed:
            return False
        age_s = (self.clock.now() - issued_at).total_seconds()
        return max(age_s, self._steady() - self._exchanged_s) < said.offline_after_s

    def health(self) -> Health:
        """How the gate is now."""
        now, deny_list, trust_list = self.clock.now(), self.lists.deny_list, self.lists.trust_list
        out_of_order = self._out_of_order()
        if "state_failed" in self._faults:
            out_of_order["state_failed"] = self._faults["state_failed"]
        gate, hand_in = self.gate, self.hand_in
        free_pct = _free_pct(self._folder.path)
        return Health(
            gate_id=self.config.identity.gate_id,
            device_id=self.config.device_id,
            firmware=__version__,
            at=now,
            out_of_order=out_of_order,
            alerts=self._alerts(free_pct),
            is_online=self.is_online,
            uptime_s=int(self._steady() - self._started_s),
            decisions=dict(gate.tally) if gate is not None else {},
            decide_s=self._decide_ns / 1e9,
            sequence=self.state.sequence if self.state is not None else 0,
            last_tap_at=self.state.last_tap_at if self.state is not None else None,
            pending=self.state.waiting if self.state is not None else 0,
            handed_in=dict(hand_in.by_link) if hand_in is not None else {},
            aside=self.aside.reasons() if len(self.aside) else {},
            trust_list=trust_list.version,
            trust_list_ends_at=trust_list.expires_at if trust_list is not NO_TRUST_LIST else None,
            deny_list=deny_list.version,
            deny_list_at=deny_list.issued_at,
            denied=len(deny_list),
            settings=self.lists.settings.version if self.lists.settings is not None else 0,
            clock_offset_s=self.clock.offset_s,
            storage_free_pct=free_pct,
            memory_bytes=_memory_bytes(),
        )

    def _out_of_order(self) -> dict[str, str]:
        """What keeps every code from being judged, in words with details."""
        now, lists = self.clock.now(), self.lists
        found: dict[str, str] = {}
        if self.gate is None:
            found["state_broken"] = self._faults.get("state_broken", "")
        if lists.trust_list is NO_TRUST_LIST:
            found["no_trust_list"] = ""
        elif now >= lists.trust_list.expires_at:
            found["trust_list_ended"] = f"It ended at {lists.trust_list.expires_at.isoformat()}."
        issued_at, most_h = lists.deny_list.issued_at, lists.adjustable.offline_max_h
        if "deny_list_broken" in self._faults:
            found["deny_list_broken"] = self._faults["deny_list_broken"]
        elif issued_at is None:
            if lists.trust_list.list_key is not None:
                found["no_deny_list"] = ""
        elif most_h and now - issued_at > timedelta(hours=most_h):
            found["offline_too_long"] = f"The deny list is of {issued_at.isoformat()}."
        if not self.clock.is_set:
            found["clock_unset"] = f"It would be before {now.isoformat()}."
        return found

    def _alerts(self, free_pct: int | None) -> dict[str, str]:
        found = {
            word: detail
            for word, detail in dict(self._faults).items()
            if word not in ("state_failed", "state_broken", "deny_list_broken")
        }
        if not self.is_online:
            found["offline"] = ""
        if len(self.aside):
            found["taps_refused"] = f"{len(self.aside)} taps are kept."
        if self._source is not None and not self._source.is_there:
            found["source_gone"] = ""
        if self.lists.broken:
            found["put_aside"] = ", ".join(self.lists.broken)
        if free_pct is not None and free_pct < STORAGE_LOW_PCT:
            found["storage_low"] = f"{free_pct} % are free."
        return found

    def _fault(self, word: str, detail: str) -> None:
        if self._faults.get(word) != detail:
            logger.warning("%s: %s", word, detail)
        self._faults[word] = detail

    def _open_state(self) -> FileState | None:
        """The taps and counters; None when the file is damaged. It stays as it is, and a copy is kept."""
        path = self._folder.file(STATE)
        try:
            return FileState(path)
        except StateBroken as error:
            self._keep_broken(error)
            return None

    def _make_gate(self) -> Gate | None:
        if self.state is None:
            return None
        try:
            gate = Gate(
                self.config.identity,
                self.lists.trust_list,
                deny_list=self.lists.deny_list,
                state=self.state,
            )
        except StateBroken as error:
            self._keep_broken(error)
            self.state.close()
            self.state = None
            return None
        if self.state.last_tap_at is not None:
            self.clock.not_before(self.state.last_tap_at)
        self.lists.serve(gate)
        return gate

    def _keep_broken(self, error: StateBroken) -> None:
        self._fault("state_broken", error.detail)
        with suppress(FolderUnusable):
            self._folder.copy_aside(STATE, int(self.clock.now().timestamp()))

    def _open_aside(self) -> Aside:
        try:
            return Aside(self._folder.file(ASIDE))
        except StateBroken:
            self._folder.put_aside(ASIDE, int(self.clock.now().timestamp()))
            self.lists.broken.append(ASIDE)
            return Aside(self._folder.file(ASIDE))


def _free_pct(path: Path) -> int | None:
    with suppress(OSError):
        usage = shutil.disk_usage(path)
        return int(usage.free * 100 // usage.total) if usage.total else None
    return None


def _memory_bytes() -> int | None:
    """Resident memory, where the system tells it (Linux)."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096
    return None
