"""The ``hansa`` command line. Each command does one thing, says what it did, and fails with a remedy.

What a command needs is imported when the command is named: to import all of Hansa takes seconds, and nobody who asks
for help or for the version has to wait for it.
"""

import gc
import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from hansa import __version__
from hansa.kernel import HansaError

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)


class Part(NamedTuple):
    """A command, or a group of commands, that is imported when it is named."""

    module: str
    """The name of its module below ``hansa.apps``."""
    attribute: str
    """What the module calls it: a function is a command, a ``typer.Typer`` a group."""
    line: str
    """What ``hansa --help`` says of it: the first paragraph of its own help."""

    def imported(self) -> object:
        """What ``attribute`` names, with all that its module imports."""
        return getattr(importlib.import_module(f"hansa.apps.{self.module}"), self.attribute)


PARTS = {
    "demo": Part(
        "serving_commands",
        "demo",
        "Six cities, a day of riding, clearing between them, bank files; then the pages stay up.",
    ),
    "serve": Part(
        "serving_commands",
        "serve",
        "Serve the wallet, the gate screen, the console and the API on what the home folder holds.",
    ),
    "work": Part(
        "serving_commands",
        "work",
        "Price taps, post charges, release holds, until told to stop. ``hansa serve`` does so by itself.",
    ),
    "sandbox": Part(
        "sandbox.command",
        "sandbox",
        "A Hansa to develop against: test keys, people who approve by themselves, faults on demand, a clock to set.",
    ),
    "reconcile": Part(
        "reconcile_commands",
        "reconcile",
        "Prove a day: taps, charges, ledger, positions, nets, payments, bank. Fails where something is not explained.",
    ),
    "verify": Part(
        "log_commands",
        "verify",
        "Check a receipt or a statement without network or database: the same as hansa_verify.py, which needs no "
        "Hansa.",
    ),
    "witness": Part(
        "witness_command",
        "witness",
        "Be a witness: sign other cities' checkpoints, and only those that continue what was signed before.",
    ),
    "atlas": Part("atlas_commands", "atlas_app", "Cities and their networks: read, check, import."),
    "tariff": Part(
        "tariff_commands", "tariff_app", "Tariffs as data: check, propose, approve, compare, import."
    ),
    "members": Part(
        "member_commands", "members_app", "Members: let in by two persons, suspended, resumed, left."
    ),
    "agreements": Part(
        "agreement_commands",
        "agreements_app",
        "Agreements between members: check, propose, decide, ask what holds.",
    ),
    "ledger": Part("ledger_commands", "ledger_app", "The books: trial balance and proof."),
    "clearing": Part("clearing_commands", "clearing_app", "Business days: close one, read its positions."),
    "settlement": Part("settlement_commands", "settlement_app", "Bank files out, statements in."),
    "bank": Part("bank.command", "bank_app", "Banks: profiles, files released and sent, a simulated bank."),
    "dispute": Part(
        "dispute_commands",
        "dispute_app",
        "Disputes: their evidence, checked offline; requests taken at the edge.",
    ),
    "hub": Part("hub_commands", "hub_app", "Payments between members: liquidity, caps, funds, alarms."),
    "webhooks": Part(
        "webhook_commands", "webhooks_app", "Webhooks: endpoints of members, and what was sent to them."
    ),
    "fspiop": Part("fspiop.command", "fspiop_app", "Mojaloop's interfaces over the hub."),
    "report": Part("report_commands", "report_app", "Reports: statements of members as files."),
    "compare": Part("reconcile_commands", "compare_app", "Members' own files held against our items."),
    "audit": Part(
        "audit_commands",
        "audit_app",
        "The record of who did what, and audit packs: a window that proves itself without us.",
    ),
    "secrets": Part(
        "secret_commands",
        "secrets_app",
        "Secrets by file or environment: which there are, and the next version.",
    ),
    "staff": Part("staff_commands", "staff_app", "Persons who work at the console."),
    "key": Part("key_commands", "key_app", "API keys of members' programs and gates."),
    "gate": Part(
        "gate_commands",
        "gate_app",
        "Run a gate; and for gate vendors, the conformance kit of the ride code.",
    ),
    "device": Part(
        "device_commands", "device_app", "Devices: boxes of the league, their broker, their settings."
    ),
    "trust": Part("trust_commands", "trust_app", "The trust list: which keys gates believe."),
    "privacy": Part("privacy_commands", "privacy_app", "Personal data: the keys that wrap them."),
    "approval": Part(
        "approval_commands", "approval_app", "Approvals: what a person approved, checked again."
    ),
    "proofing": Part(
        "proofing_commands", "proofing_app", "Proof of real names: a simulated provider; releases."
    ),
}


def load(name: str) -> TyperCommand | TyperGroup:
    """The command or group of ``PARTS`` by name, with all that it imports.

    The collector of cycles rests meanwhile, and passes over what was loaded ever after: modules and their classes stay.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        found = PARTS[name].imported()
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
    holder = typer.Typer(rich_markup_mode="rich")
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        assert callable(found)
        holder.command(name)(found)
        holder.callback()(_nothing)
    made = get_group(holder).commands[name]
    assert isinstance(made, TyperCommand | TyperGroup)
    return made


def _nothing() -> None: ...


class Directory(TyperGroup):
    """The commands of ``PARTS`` beside those of this module; only the one that is named is loaded."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        listed = {name: TyperCommand(name, help=part.line) for name, part in PARTS.items()}
        self.commands = {**listed, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As any group does, and with the command itself in place of its line."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in PARTS else command, rest


app = typer.Typer(
    name="hansa",
    cls=Directory,
    help="Hansa: one account, honoured in every city.\n\nStart with [bold]hansa demo[/bold]: six cities, a day of "
    "riding, and what they owe each other, in one command.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _hansa() -> None: ...


@app.command()
def version() -> None:
    """Which Hansa this is."""
    out.print(__version__)


def main() -> None:
    """Run the command line; an expected failure is told in plain words and exits with 1."""
    with _told():
        app()


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except HansaError as error:
        err.print(f"[bold red]{error.code}[/bold red]", highlight=False)
        err.print(str(error), highlight=False, markup=False)
        raise SystemExit(1) from None
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        if error.filename is None:  # no file that someone named
            raise
        told = f"{error.filename}: {error.strerror}. Give the path of a file that this user can use."
        err.print(told, highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
