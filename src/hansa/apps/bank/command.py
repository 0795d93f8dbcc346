"""The commands of ``hansa bank``: the simulated bank as a program, and the league's desk towards its banks."""

import getpass
import sys
import time
from contextlib import ExitStack
from datetime import time as wall_time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.table import Table

from hansa import settlement, trust
from hansa.apps.bank.books import Bank
from hansa.apps.bank.conduct import MEANING, Conduct, Mishap
from hansa.apps.bank.doors import FolderDoor, HttpDoor
from hansa.apps.bank.links import exchange
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Day, Home
from hansa.kernel import CURRENCY_EXPONENTS, Money, SystemClock
from hansa.settlement import desk

out = Console(width=None if sys.stdout.isatty() else 120)

bank_app = typer.Typer(
    no_args_is_help=True, help="Banks: profiles, files released and sent, a simulated bank."
)

BankName = Annotated[str, typer.Argument(help="The bank, as its profile names it, such as league-bank.")]
FileName = Annotated[str, typer.Argument(help="The file, such as HANSA-20261117-CNY.")]


def _public(key_of: trust.KeyFolder) -> str:
    return key_of.bank_files().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


@bank_app.command()
def simulate(
    account: Annotated[str, typer.Option(help="Number of the settlement account, without the BIC.")],
    league: Annotated[str, typer.Option(help="The league's public key: `hansa bank key` prints it.")],
    at: Annotated[Path, typer.Option(help="Folder of the bank's books and key.")] = Path("simulated-bank"),
    folder: Annotated[Path | None, typer.Option(help="Take files from this shared folder.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Take files over HTTP here.")] = None,
    host: Annotated[str, typer.Option(help="Address for HTTP.")] = "127.0.0.1",
    tz: Annotated[str, typer.Option(help="The bank's time zone.")] = "UTC",
    cut_off: Annotated[str, typer.Option(help="Until when a file counts for the day, HH:MM.")] = "17:00",
    mishap: Annotated[
        list[str] | None, typer.Option(help="How often something goes wrong, such as lose=5; again for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same mistakes.")] = 1,
    down: Annotated[float, typer.Option(help="In how many of a hundred hours it is down.")] = 0.0,
) -> None:
    """Run a bank: it takes payment files, answers, pays on their day, and sends statements.

    Its public key is printed at the start; it belongs into the profile. Mishaps: delay, reject, duplicate, misstate,
    lose, return, contradict, silent, each with how many payments in a hundred meet it.

    Example: [cyan]hansa bank simulate --account 001-0000001 --league 6f… --port 8019 --mishap reject=5[/cyan]
    """
    if folder is None and port is None:
        raise typer.BadParameter("Say where files come from: --folder, --port, or both.")
    conduct = Conduct(seed=seed, percent=_percent(mishap or []), down=down)
    calendar = settlement.BankCalendar(tz, wall_time.fromisoformat(cut_off), weekend=())
    try:
        known = Ed25519PublicKey.from_public_bytes(bytes.fromhex(league))
    except ValueError:
        raise typer.BadParameter("Give 64 hex digits.", param_hint="--league") from None
    at.mkdir(parents=True, exist_ok=True)
    key = trust.KeyFolder(at / "keys").bank_files()
    bank = Bank(account, calendar, conduct, at / "books.sqlite")
    clock = SystemClock()
    with ExitStack() as doors:
        doors.callback(bank.close)
        out.print(f"The bank's key: {_public(trust.KeyFolder(at / 'keys'))}", highlight=False, soft_wrap=True)
        if port is not None:
            door = doors.enter_context(HttpDoor(bank, host=host, port=port, key=key, league=known))
            out.print(f"Files are taken at {door.url}", highlight=False)
        drop = FolderDoor(bank, folder, key, known) if folder is not None else None
        if drop is not None:
            out.print(f"Files are taken from {folder}", highlight=False)
        sys.stdout.flush()
        while True:
            if drop is not None:
                drop.look(clock)
            if not conduct.is_down(clock.now()):
                bank.turn(clock.now())
            time.sleep(0.5)


@bank_app.command("mishaps")
def list_mishaps() -> None:
    """What a simulated bank can do wrong."""
    for mishap in Mishap:
        out.print(f"{mishap.value:<12} {MEANING[mishap]}", highlight=False)


@bank_app.command("key")
def show_key(home: Home = DEFAULT_HOME) -> None:
    """Print the public key under which this league's banks know its files."""
    print(_public(trust.KeyFolder(home / "keys")))


@bank_app.command("profile")
def set_profile(
    file: Annotated[Path, typer.Argument(help="The profile: docs/operating/banks.md says what is in it.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Let a bank's profile hold from now on."""
    text = file.read_text(encoding="utf-8")
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        profile = desk.set_profile(tx, text, by=getpass.getuser(), at=ctx.clock.now())
    out.print(
        f"{profile.bank_id} settles {', '.join(profile.currencies)} by {profile.form}, {profile.basis}."
    )


@bank_app.command()
def prepare(day: Day, home: Home = DEFAULT_HOME) -> None:
    """Prepare a closed day's files in your name; others release them."""
    with opened(home, join=True) as ctx:
        files = desk.prepare(ctx, day.date(), by=getpass.getuser())
    for file in files:
        total = Money(file.control_sum_minor, file.currency)
        out.print(f"{file.message_id}  {file.transactions} payments  {total}  for {file.execution_day}")


@bank_app.command("file")
def show_file(message_id: FileName, home: Home = DEFAULT_HOME) -> None:
    """Show a file as whoever releases it should see it: totals, by member too, and who has done what with it."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        _show(desk.view_file(tx, message_id))


@bank_app.command()
def release(
    message_id: FileName,
    count: Annotated[int, typer.Option(min=1, help="How many payments it holds, as you have read.")],
    total: Annotated[str, typer.Option("--sum", help="Its control sum, as you have read: 19.78.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the step.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Release a file in your name; who prepared it cannot."""
    with opened(home, join=True) as ctx:
        with ctx.tx() as tx:
            currency = desk.view_file(tx, message_id).file.currency
        minor = _minor(total, currency)
        view = desk.release(
            ctx, message_id, by=getpass.getuser(), count=count, control_sum_minor=minor, why=reason
        )
    _show(view)


def _show(view: desk.FileView) -> None:
    file = view.file
    total = Money(file.control_sum_minor, file.currency)
    out.print(
        f"{file.message_id}: {file.transactions} payments, {total}, for {file.execution_day}, {file.form}"
    )
    table = Table("member", "pays", "receives")
    for one in view.members:
        sums = (Money(one.pays_minor, file.currency), Money(one.receives_minor, file.currency))
        table.add_row(one.member_id, *map(str, sums))
    out.print(table)
    for fact in view.facts:
        out.print(
            f"{fact.at:%Y-%m-%d %H:%M} {fact.step.value} by {fact.by_whom}: {fact.why}", highlight=False
        )
    if view.lacking:
        out.print(f"{view.lacking} more must release it.")


def _minor(text: str, currency: str) -> int:
    """An amount in major units, exactly, as minor ones."""
    try:
        minor = Decimal(text).scaleb(CURRENCY_EXPONENTS[currency])
        if minor == minor.to_integral_value():
            return int(minor)
    except (InvalidOperation, ValueError):
        pass
    raise typer.BadParameter(f"{text!r} is no amount of {currency}.", param_hint="--sum")


@bank_app.command("exchange")
def exchange_once(bank: BankName, home: Home = DEFAULT_HOME) -> None:
    """Hand over what is released, fetch what the bank says, and ask after what is overdue. Again is harmless."""
    key = trust.KeyFolder(home / "keys").bank_files()
    with opened(home, join=True) as ctx:
        asked, sent, taken = exchange(ctx, bank, key)
    out.print(
        f"{len(sent.acknowledged)} acknowledged, {len(sent.open)} without an answer, {len(sent.refused)} refused,"
        f" {len(sent.held)} held; {len(asked)} questions; {len(taken)} messages from the bank."
    )
    for one in taken:
        if one.why:
            out.print(f"{one.message_id}: {one.why}", highlight=False)


@bank_app.command()
def payments(day: Day, home: Home = DEFAULT_HOME) -> None:
    """Show where a day's payments are."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = desk.list_payments(tx, day=day.date(), limit=10_000)
    table = Table("payment", "member", "", "amount", "state", "what does not agree")
    for one in found:
        told = one.told
        table.add_row(
            told.end_to_end_id, told.member_id, told.direction, str(told.amount), one.state.value, one.wrong
        )
    out.print(table)


def _percent(given: list[str]) -> dict[Mishap, float]:
    percent: dict[Mishap, float] = {}
    for text in given:
        name, _, figure = text.partition("=")
        try:
            percent[Mishap(name)] = float(figure)
        except ValueError:
            names = ", ".join(one.value for one in Mishap)
            raise typer.BadParameter(
                f"{text!r}: give one of {names}, = and a number.", param_hint="--mishap"
            ) from None
    return percent
