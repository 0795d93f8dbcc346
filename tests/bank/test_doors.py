"""A bank reached over a folder and over HTTP: whole files, signed both ways, taken once."""

import signal
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bank.weeks import LEAGUE_KEY, BankSpec, Weeks, bank_key, public_hex, ride
from hansa import clearing, settlement
from hansa.apps.bank import Bank, Conduct
from hansa.apps.bank.doors import FolderDoor, HttpDoor
from hansa.apps.bank.links import Exchanging
from hansa.kernel import FixedClock
from hansa.settlement import FolderLink, HttpLink, Link, NoAnswer, Progress, State, desk, read_profile
from hansa.settlement.delivery import FROM_BANK, TO_BANK
from hansa.store import Context
from hansa.trust import KeyFolder

SPEC = BankSpec("east-bank", ("CNY", "JPY"), "UTC")
DAY = date(2028, 3, 1)
KEY = bank_key("east-bank")


def bank_with_a_day(ctx: Context, file: Path | None = None) -> tuple[Weeks, Bank]:
    """A league whose first day is closed and released, and its bank."""
    weeks = Weeks(ctx, [SPEC], {"east-bank": Conduct()}, DAY, 1, kills=0.0)
    weeks.clock.at = datetime.fromisoformat("2028-03-01T12:00:00Z")
    ride(ctx, DAY, SPEC.currencies, weeks.rng)
    weeks.clock.at = datetime.fromisoformat("2028-03-01T20:05:00Z")
    clearing.close_day(ctx, DAY)
    for prepared in desk.prepare(ctx, DAY):
        for person in ("ann", "bob"):
            desk.release(
                ctx,
                prepared.message_id,
                by=person,
                count=prepared.transactions,
                control_sum_minor=prepared.control_sum_minor,
            )
    calendar = read_profile(SPEC.profile).calendar
    return weeks, Bank("ACC-east-bank", calendar, file=file)


def settle(weeks: Weeks, bank: Bank, link: Link, door: FolderDoor | None = None) -> None:
    """Send, answer, pay on the next day, read the statements."""
    for hours in (0, 1, 23, 1, 1):
        weeks.clock.at += timedelta(hours=hours)
        desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
        if door is not None:
            door.look(weeks.clock)
        bank.turn(weeks.clock.now())
        if door is not None:
            door.look(weeks.clock)
        desk.collect(weeks.ctx, "east-bank", link)


def assert_settled(weeks: Weeks) -> None:
    with weeks.ctx.tx() as tx:
        assert set(settlement.progress(tx, DAY).values()) == {Progress.SETTLED}
        assert {one.state for one in desk.list_payments(tx)} == {State.BOOKED}
        assert settlement.open_breaks(tx) == [] and desk.set_aside(tx) == []


def test_a_day_is_settled_over_a_folder(ctx: Context, tmp_path: Path) -> None:
    weeks, bank = bank_with_a_day(ctx, tmp_path / "books.sqlite")
    drop = tmp_path / "drop"
    door = FolderDoor(bank, drop, KEY, LEAGUE_KEY.public_key())

    settle(weeks, bank, FolderLink(drop, KEY.public_key()), door)

    assert_settled(weeks)
    assert list((drop / FROM_BANK).iterdir()) == []
    assert not list(drop.rglob(".*"))


def test_a_day_is_settled_over_http(ctx: Context) -> None:
    weeks, bank = bank_with_a_day(ctx)
    with HttpDoor(
        bank, host="127.0.0.1", port=0, key=KEY, league=LEAGUE_KEY.public_key(), clock=weeks.clock
    ) as door:
        settle(weeks, bank, HttpLink(door.url, KEY.public_key(), key=LEAGUE_KEY, clock=weeks.clock))

    assert_settled(weeks)


def test_the_league_exchanges_with_every_bank_by_itself(ctx: Context, tmp_path: Path) -> None:
    weeks, bank = bank_with_a_day(ctx)
    own = KeyFolder(tmp_path / "keys").bank_files().public_key()
    drop = tmp_path / "drop"
    with ctx.tx() as tx:
        profile = SPEC.profile.replace('folder = "unused"', f'folder = "{drop}"')
        desk.set_profile(tx, profile, by="olga", at=weeks.clock.at)
    door = FolderDoor(bank, drop, KEY, own)
    banks = Exchanging(ctx, tmp_path)

    for hours in (0, 1, 23, 1, 1):
        weeks.clock.at += timedelta(hours=hours)
        banks.turn()
        door.look(weeks.clock)
        bank.turn(weeks.clock.now())
        door.look(weeks.clock)
        banks.turn()

    assert_settled(weeks)


def test_a_file_that_the_league_did_not_sign_is_turned_away(ctx: Context, tmp_path: Path) -> None:
    weeks, bank = bank_with_a_day(ctx)
    door = FolderDoor(bank, tmp_path, KEY, KEY.public_key())
    link = FolderLink(tmp_path, KEY.public_key())

    desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
    door.look(weeks.clock)
    sent = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)

    assert len(sent.refused) == 2 and bank.paid() == {}


def test_a_receipt_that_the_bank_did_not_sign_is_none(ctx: Context, tmp_path: Path) -> None:
    weeks, bank = bank_with_a_day(ctx)
    door = FolderDoor(bank, tmp_path, LEAGUE_KEY, LEAGUE_KEY.public_key())
    link = FolderLink(tmp_path, KEY.public_key())

    desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
    door.look(weeks.clock)
    sent = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)

    assert len(sent.open) == 2


def test_over_http_neither_side_takes_what_the_other_did_not_sign(ctx: Context) -> None:
    weeks, bank = bank_with_a_day(ctx)
    clock = FixedClock(weeks.clock.at)
    with HttpDoor(
        bank, host="127.0.0.1", port=0, key=KEY, league=LEAGUE_KEY.public_key(), clock=clock
    ) as door:
        stranger = HttpLink(door.url, KEY.public_key(), key=KEY, clock=clock)
        fooled = HttpLink(door.url, LEAGUE_KEY.public_key(), key=LEAGUE_KEY, clock=clock)
        late = HttpLink(
            door.url, KEY.public_key(), key=LEAGUE_KEY, clock=FixedClock(clock.at - timedelta(hours=1))
        )
        for link in (stranger, fooled, late):
            with pytest.raises(NoAnswer):
                link.hand_over("HANSA-1", b"<a/>", b"")
    gone = HttpLink(door.url, KEY.public_key(), key=LEAGUE_KEY, clock=clock, timeout_s=1.0)
    with pytest.raises(NoAnswer):
        gone.hand_over("HANSA-1", b"<a/>", b"")


def test_a_bank_that_is_killed_goes_on_with_its_books(ctx: Context, tmp_path: Path) -> None:
    weeks, bank = bank_with_a_day(ctx, tmp_path / "books.sqlite")
    drop = tmp_path / "drop"
    link = FolderLink(drop, KEY.public_key())
    door = FolderDoor(bank, drop, KEY, LEAGUE_KEY.public_key())
    desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
    door.look(weeks.clock)
    bank.close()

    again = Bank("ACC-east-bank", bank.calendar, file=tmp_path / "books.sqlite")
    settle(weeks, again, link, FolderDoor(again, drop, KEY, LEAGUE_KEY.public_key()))

    assert_settled(weeks)


def test_the_program_takes_a_file_and_survives_a_kill(tmp_path: Path, ctx: Context) -> None:
    weeks, _ = bank_with_a_day(ctx)
    drop = tmp_path / "drop"
    command = [
        *(sys.executable, "-c", "from hansa.apps.command import main; main()"),
        *("bank", "simulate", "--account", "ACC-east-bank", "--league", public_hex(LEAGUE_KEY)),
        *("--at", str(tmp_path / "bank"), "--folder", str(drop)),
    ]
    with weeks.ctx.tx() as tx:
        files = settlement.list_files(tx, DAY)
    told: dict[int, str] = {}
    for turn in (1, 2):
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert program.stdout is not None
            key = program.stdout.readline().split()[-1]
            told[turn] = key
            if turn == 1:
                link = FolderLink(drop, Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)))
                deadline = time.monotonic() + 120
                while time.monotonic() < deadline:
                    sent = desk.deliver(weeks.ctx, "east-bank", link, LEAGUE_KEY)
                    if not sent.open:
                        break
                    time.sleep(0.2)
        finally:
            program.send_signal(signal.SIGKILL)
            program.wait()

    with weeks.ctx.tx() as tx:
        assert {one.state for one in desk.list_payments(tx)} == {State.ACKNOWLEDGED}
    assert told[1] == told[2]
    assert {path.stem for path in (drop / TO_BANK).glob("*.xml")} == {file.message_id for file in files}
