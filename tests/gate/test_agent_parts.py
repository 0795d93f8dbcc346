"""The agent's smaller parts: its settings, its clock, its deny list and its folder refuse what they must."""

import random
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.agents import NOON, Time, config_file
from hansa.codes import DenyListRefused, DenyUpdate, deny_update
from hansa.gate.agent.clock import GateClock
from hansa.gate.agent.config import Adjustable, ConfigRefused, adjusted, config_of, read_config
from hansa.gate.agent.deny import DenyFile
from hansa.gate.agent.folder import BROKEN_MAX, Folder, FolderUnusable
from hansa.gate.agent.link import BatchRefused, HttpLink, LinkDown, receipt_of

HOUR = timedelta(hours=1)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GATE_KEY", "key")


# -- settings ---------------------------------------------------------------------------------------------------


def test_the_handbook_has_settings_that_work(tmp_path: Path) -> None:
    handbook = (Path(__file__).parents[2] / "docs/operating/gates.md").read_text(encoding="utf-8")
    example = handbook.split("```toml\n", 1)[1].split("```", 1)[0]
    (tmp_path / "api-key").write_text("hansa_secret\n")

    config = config_of(tomllib.loads(example), folder=tmp_path)

    assert (config.api_key, config.source, config.actuator) == ("hansa_secret", "scanner", "command")


@pytest.mark.parametrize(
    ("section", "name", "value", "said"),
    [
        ("gate", "gate_id", None, "gate.gate_id: it is missing"),
        ("gate", "gate_id", 7, "gate.gate_id: 7 is no text"),
        ("gate", "device_id", "a b", "gate.device_id: 'a b' does not fit"),
        ("gate", "action", "leave", "gate.action: 'leave' is unknown. Choose from entry, exit, board"),
        ("gate", "product", "submarine", "gate.product: 'submarine' is unknown"),
        ("gate", "cell", "xyz", "gate.cell: 'xyz' is no place"),
        ("gate", "lane", 3, "gate.lane: there is no such field"),
        ("league", "url", "ftp://x", "league.url: 'ftp://x' is no address. Begin it with https://"),
        ("league", "roots", [], "league.roots: there is none"),
        ("league", "roots", ["zz"], "league.roots: 'zz' is no root key"),
        ("league", "api_key_env", "NOT_SET_HERE", "league.api_key_env: NOT_SET_HERE is not set"),
        ("league", "api_key_env", None, "league.api_key_file: there is no way to hand in taps"),
        ("source", "kind", "telepathy", "source.kind: 'telepathy' is unknown"),
        ("source", "kind", "scanner", "source.path: it is missing"),
        ("actuator", "kind", "command", "actuator.command: it is missing"),
        ("actuator", "pulse_ms", 5, "actuator.pulse_ms: 5 does not fit. Give 10 to 10000"),
        ("health", "port", 70_000, "health.port: 70000 does not fit"),
        ("settings", "deny_poll_s", 0, "settings.deny_poll_s: 0 does not fit. Give 1 to 3600 seconds"),
        ("settings", "offline_after_s", 901, "settings.offline_after_s: 901 does not fit"),
        ("settings", "digits", "yes", "settings.digits: 'yes' does not fit. Give true or false"),
        ("settings", "languages", {"x": "?"}, "settings.languages:"),
        ("settings", "colour", "red", "settings.colour: there is no such setting"),
        ("doors", "wide", True, "doors: there is no such section"),
    ],
)
def test_a_fault_in_the_settings_is_named_with_its_remedy(
    tmp_path: Path, section: str, name: str, value: Any, said: str
) -> None:
    values = tomllib.loads(config_file(tmp_path).read_text())
    table = values.setdefault(section, {})
    if value is None:
        del table[name]
    else:
        table[name] = value

    with pytest.raises(ConfigRefused) as refused:
        config_of(values, folder=tmp_path)

    assert said in str(refused.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused) as refused:
        config_of({"gate": 3, "league": {"url": "x"}}, folder=tmp_path)

    assert len(refused.value.problems) >= 3


@pytest.mark.parametrize("text", ["[gate", "\x00", "gate = 1"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.toml").write_text(text)

    with pytest.raises(ConfigRefused):
        read_config(tmp_path / "gate.toml")


@given(st.dictionaries(st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.text(max_size=5)))
def test_settings_from_afar_are_taken_or_refused_whole(values: dict[str, Any]) -> None:
    before, unknown = Adjustable(), list[str]()

    try:
        after = adjusted(before, values, unknown=unknown)
    except ConfigRefused:
        return

    assert set(unknown) | {"language", "digits", "deny_poll_s", "trust_poll_s", "clock_poll_s"} >= set(
        values
    ) - {"offline_after_s", "offline_max_h"}
    assert 1 <= after.deny_poll_s <= 3_600


# -- the clock --------------------------------------------------------------------------------------------------


def test_a_small_offset_is_slewed_and_a_large_one_stepped() -> None:
    time = Time()
    clock = GateClock(steady=time.steady, wall=time.wall)

    assert clock.ask(lambda: time.at + timedelta(seconds=1)) == pytest.approx(1)
    assert clock.now() == NOON
    time.pass_by(seconds=50)
    assert clock.now() - time.at == timedelta(seconds=0.5)
    time.pass_by(seconds=100)
    assert clock.now() - time.at == timedelta(seconds=1)
    assert clock.ask(lambda: time.at + timedelta(seconds=100)) == pytest.approx(99)
    assert clock.now() - time.at == timedelta(seconds=100)


def test_the_time_of_asking_is_taken_half() -> None:
    time = Time()
    clock = GateClock(steady=time.steady, wall=time.wall)

    def slow() -> datetime:
        time.pass_by(seconds=1)
        said = time.at
        time.pass_by(seconds=1)
        return said

    assert clock.ask(slow) == pytest.approx(0)


@pytest.mark.parametrize(("took_s", "ahead_s", "moved"), [(8, 3, False), (8, 5, True), (1, 3, True)])
def test_an_answer_that_was_held_up_moves_no_clock(took_s: float, ahead_s: float, moved: bool) -> None:
    """An answer held up for 8 s says the time to within 4 s."""
    time = Time()
    clock = GateClock(steady=time.steady, wall=time.wall)

    def slow() -> datetime:
        time.pass_by(seconds=took_s / 2)
        said = time.at + timedelta(seconds=ahead_s)
        time.pass_by(seconds=took_s / 2)
        return said

    clock.ask(slow)

    assert (clock.now() != time.at) == moved


@given(st.lists(st.floats(-500, 500), max_size=20))
def test_the_clock_never_goes_behind_a_tap(offsets: list[float]) -> None:
    time = Time()
    clock = GateClock(steady=time.steady, wall=time.wall)

    last = clock.now()
    clock.not_before(last)
    for offset_s in offsets:
        clock.ask(lambda offset_s=offset_s: time.at + timedelta(seconds=offset_s))
        time.pass_by(seconds=1)
        now = clock.now()
        assert now >= last
        clock.not_before(now)
        last = now


def test_a_league_that_does_not_answer_leaves_the_clock_alone() -> None:
    time = Time()
    clock = GateClock(not_before=NOON + HOUR, steady=time.steady, wall=time.wall)

    def away() -> datetime:
        raise LinkDown

    with pytest.raises(LinkDown):
        clock.ask(away)

    assert not clock.is_set
    assert clock.now() == NOON + HOUR


# -- the deny list ----------------------------------------------------------------------------------------------


def cti(number: int) -> bytes:
    return random.Random(number).randbytes(8)


def update(version: int, since: int, *numbers: int, at: datetime = NOON, hours: int = 20) -> DenyUpdate:
    return deny_update(version, since, at, [(cti(number), NOON + hours * HOUR) for number in numbers])


@pytest.fixture
def deny_file(tmp_path: Path) -> Iterator[DenyFile]:
    file = DenyFile(tmp_path / "deny.db")
    yield file
    file.close()


def test_deltas_go_on_from_the_version_in_use(deny_file: DenyFile, tmp_path: Path) -> None:
    assert (deny_file.version, deny_file.issued_at, len(deny_file)) == (0, None, 0)

    assert deny_file.take(update(3, 0, 1, 2, 3), list_key=KEY)
    assert deny_file.take(update(5, 3, 4, 5), list_key=KEY)
    assert deny_file.take(update(5, 5, at=NOON + HOUR), list_key=KEY)

    assert (deny_file.version, deny_file.issued_at, len(deny_file)) == (5, NOON + HOUR, 5)
    assert all(cti(number) in deny_file for number in range(1, 6))
    assert cti(6) not in deny_file
    assert b"short" not in deny_file and "text" not in deny_file
    again = DenyFile(tmp_path / "deny.db")
    assert (again.version, again.issued_at, len(again)) == (5, NOON + HOUR, 5)
    again.close()


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (update(9, 6, 9), "has a gap"),
        (update(4, 3, 9), "is older than 5"),
        (update(4, 0, 9), "is older than 5"),
        (update(5, 5, at=NOON - HOUR), "is older than one that came before"),
    ],
)
def test_gaps_and_older_words_change_nothing(deny_file: DenyFile, refused: DenyUpdate, why: str) -> None:
    deny_file.take(update(5, 0, 1, 2), list_key=KEY)

    with pytest.raises(DenyListRefused, match=why):
        deny_file.take(refused, list_key=KEY)

    assert (deny_file.version, deny_file.issued_at, len(deny_file)) == (5, NOON, 2)
    assert cti(9) not in deny_file


def test_what_is_known_already_is_no_news(deny_file: DenyFile) -> None:
    deny_file.take(update(5, 0, 1, 2), list_key=KEY)

    assert not deny_file.take(update(5, 5), list_key=KEY)
    assert deny_file.take(
        update(7, 4, 1, 2, 3), list_key=KEY
    )  # begins before ours: all of it is new or known
    assert (deny_file.version, len(deny_file)) == (7, 3)


def test_a_whole_list_takes_the_place_of_the_old(deny_file: DenyFile) -> None:
    deny_file.take(update(5, 0, 1, 2), list_key=KEY)

    assert deny_file.take(update(6, 0, 3), list_key=KEY)

    assert (len(deny_file), cti(1) in deny_file, cti(3) in deny_file) == (1, False, True)


def test_another_keys_list_is_taken_whole_or_not_at_all(deny_file: DenyFile) -> None:
    deny_file.take(update(500, 0, 1), list_key=KEY)
    assert (deny_file.version_by(KEY), deny_file.version_by(OTHER_KEY)) == (500, 0)

    with pytest.raises(DenyListRefused):
        deny_file.take(update(501, 500, 2), list_key=OTHER_KEY)
    assert deny_file.take(update(3, 0, 2), list_key=OTHER_KEY)

    assert (deny_file.version, cti(1) in deny_file, cti(2) in deny_file) == (3, False, True)


def test_ended_tokens_leave_the_list(deny_file: DenyFile) -> None:
    deny_file.take(update(1, 0, 1, hours=1), list_key=KEY)
    deny_file.take(update(2, 1, 2, hours=2), list_key=KEY)

    assert deny_file.forget_ended(NOON + HOUR - timedelta(seconds=1)) == 0
    assert deny_file.forget_ended(NOON + HOUR) == 1
    assert (len(deny_file), cti(1) in deny_file, cti(2) in deny_file) == (1, False, True)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.integers(1, 30)), max_size=20), max_size=5
    )
)
def test_the_file_holds_what_a_set_would(
    tmp_path_factory: pytest.TempPathFactory, updates: list[list[tuple[bytes, int]]]
) -> None:
    file = DenyFile(tmp_path_factory.mktemp("deny") / "deny.db")
    ends: dict[bytes, int] = {}

    for version, tokens in enumerate(updates):
        news = {token: hours for token, hours in tokens if token not in ends}
        file.take(
            deny_update(
                version + 1, version, NOON, [(token, NOON + hours * HOUR) for token, hours in news.items()]
            ),
            list_key=KEY,
        )
        ends |= news
    assert len(file) == len(ends)
    assert all(token in file for token in ends)

    file.forget_ended(NOON + 10 * HOUR)
    assert {token for token in ends if token in file} == {
        token for token, hours in ends.items() if hours > 10
    }
    file.close()


# -- the folder -------------------------------------------------------------------------------------------------


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "gate")
    folder.write("list", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(FolderUnusable, match="No space left"):
        folder.write("list", b"new")

    assert folder.read("list") == b"old"
    assert sorted(path.name for path in folder.path.iterdir()) == ["list", "lock"]
    folder.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderUnusable):
        Folder(tmp_path / "file")


def test_few_broken_files_are_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for stamp in range(1, 12):
        for ending in ("", "-wal"):
            (tmp_path / f"deny.db{ending}").write_text("x")
        folder.put_aside("deny.db", stamp)

    kept = sorted(path.name for path in (tmp_path / "broken").iterdir())
    assert len(kept) == BROKEN_MAX * 2
    assert kept[0] == "000000000007.deny.db"
    folder.close()


# -- the link over HTTP -----------------------------------------------------------------------------------------


def answering(*answers: bytes) -> int:
    """A port that gives these answers, one a connection, and closes it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
        server.close()

    Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def http(status: str, body: bytes = b"{}", *more: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *more])
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "error", "retry_after_s"),
    [
        (http("503 Busy", b"{}", "retry-after: 7"), LinkDown, 7.0),
        (http("429 Slow", b"x", "retry-after: nonsense"), LinkDown, None),
        (http("401 No", b'{"code": "trust.not_signed_in"}'), LinkDown, None),
        (http("200 OK", b"[]"), LinkDown, None),
        (http("200 OK", b'{"recorded": 1, "duplicates": 1, "refused": []}'), LinkDown, None),
        (http("413 Large"), BatchRefused, None),
        (http("422 Odd"), BatchRefused, None),
        (b"nonsense\r\n\r\n", LinkDown, None),
        (b"", LinkDown, None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", LinkDown, None),
    ],
)
def test_what_is_no_receipt_lets_no_tap_go(
    answer: bytes, error: type[Exception], retry_after_s: float | None
) -> None:
    link = HttpLink(f"http://127.0.0.1:{answering(answer)}", "key", timeout_s=2)

    with pytest.raises(error) as raised:
        link.hand_in([])

    if isinstance(raised.value, LinkDown):
        assert raised.value.retry_after_s == retry_after_s
    link.close()


def test_a_date_to_come_again_at_is_understood() -> None:
    later = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    link = HttpLink(f"http://127.0.0.1:{answering(http('503 Busy', b'', f'retry-after: {later}'))}", "key")

    with pytest.raises(LinkDown) as raised:
        link.hand_in([])

    assert raised.value.retry_after_s is not None and 90 < raised.value.retry_after_s <= 100


def test_nobody_there_and_no_key_are_told() -> None:
    with pytest.raises(LinkDown):
        HttpLink("http://127.0.0.1:9", "key", timeout_s=1).trust_list()
    with pytest.raises(LinkDown, match="no API key"):
        HttpLink("http://127.0.0.1:9", None).hand_in([])


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode), st.integers(0, 5))
def test_a_receipt_adds_up_or_is_none(answer: bytes, count: int) -> None:
    try:
        receipt = receipt_of(answer, count)
    except LinkDown:
        return

    assert receipt.recorded + receipt.duplicates + len(receipt.refused) == count


def test_a_trust_list_that_is_known_is_not_sent_again() -> None:
    first = http("200 OK", b"list", 'etag: "7"')
    link = HttpLink(f"http://127.0.0.1:{answering(first, http('304 Not Modified', b''))}", None, timeout_s=2)

    assert (link.trust_list(), link.trust_list()) == (b"list", None)
    link.close()


IN_MEMORY = """
import random, sys
from pathlib import Path
from hansa.gate.agent.deny import DenyFile

def resident_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

before = resident_kb()
file, dice = DenyFile(Path(sys.argv[1])), random.Random(1)
denied = [dice.randbytes(8) for _ in range(int(sys.argv[2]))]
found = sum(cti in file for cti in denied[::50])
del denied
print(found, len(file), resident_kb() - before)
"""


@pytest.mark.slow
def test_a_million_denied_tokens_cost_no_memory(tmp_path: Path) -> None:
    """As a set they would take 75 MB; the list that makes them up here, and is let go, is what is allowed for."""
    count, dice = 1_000_000, random.Random(1)
    tokens = [(dice.randbytes(8), NOON + (1 + number % 24) * HOUR) for number in range(count)]
    file = DenyFile(tmp_path / "deny.db")
    file.take(deny_update(1, 0, NOON, tokens), list_key=KEY)
    file.close()

    told = subprocess.run(
        [sys.executable, "-c", IN_MEMORY, str(tmp_path / "deny.db"), "50000"],
        capture_output=True,
        text=True,
        check=True,
    )

    found, size, grown_kb = map(int, told.stdout.split())
    disk_mb = (tmp_path / "deny.db").stat().st_size / 1e6
    print(f"\n{size:,} tokens: {grown_kb / 1024:.1f} MB more, {disk_mb:.1f} MB of disk")
    assert (found, size) == (1_000, count)
    assert grown_kb < 16 * 1024
