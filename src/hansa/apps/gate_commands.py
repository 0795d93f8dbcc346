"""The commands of ``hansa gate``: for who builds gates, and for who runs them. All but one need no database."""

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hansa import rides
from hansa.apps.device_commands import gate_enrol, gate_renew
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.gate import conformance, verifier
from hansa.gate.agent import command
from hansa.gate.conformance import Question, Report, Wrong
from hansa.kernel import HansaError

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

gate_app = typer.Typer(
    no_args_is_help=True, help="Run a gate; and for gate vendors, the conformance kit of the ride code."
)

gate_app.command("enrol")(gate_enrol)
gate_app.command("renew")(gate_renew)

EXIT_WRONG, EXIT_REFUSED, EXIT_BROKE_OFF = 1, command.EXIT_REFUSED, 3
_SHOWN_MAX = 10

Seed = Annotated[int, typer.Option(min=0, help="Another seed makes other keys, ids and random changes.")]


@gate_app.command("run")
def run_gate(
    config: Annotated[
        Path, typer.Option("--config", help="Its file of settings; docs/operating/gates.md has one.")
    ],
    verbose: Annotated[bool, typer.Option("--verbose", help="Say more on standard error.")] = False,
) -> None:
    """Run a gate: read codes, open, hand in. It ends when it is told to (TERM, Ctrl-C) or standard input ends.

    Exit code 2: it could not begin; what is said names the field and the remedy. On a gate's own box,
    [cyan]hansa-gate run[/cyan] of the package hansa-gate is the same without the server's parts.
    """
    try:
        command.run(config, verbose=verbose)
    except HansaError as error:
        err.print(str(error), highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_REFUSED) from None


@gate_app.command("go-on")
def go_on(
    sequence: Annotated[int, typer.Argument(help="The number of the last tap that the back office has.")],
    chain: Annotated[str, typer.Argument(help="That tap's link, 64 hex digits.")],
    config: Annotated[Path, typer.Option("--config", help="The gate's file of settings.")],
) -> None:
    """Let a new device take the place of one that is gone, its taps with it: it goes on from the last tap known."""
    try:
        command.go_on(config, sequence, chain)
    except HansaError as error:
        err.print(str(error), highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_REFUSED) from None


@gate_app.command("last-tap")
def last_tap(
    gate: Annotated[str, typer.Argument(help="The gate's id.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """The number and the link of the last tap that the back office has of a gate, for ``go-on``."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = rides.find_last_tap(tx, gate)
    if found is None:
        out.print(f"There is no tap of {gate} yet: it begins at 1 by itself.", highlight=False)
    else:
        print(found[0], found[1].hex())


@gate_app.command("kit")
def kit(
    file: Annotated[
        Path, typer.Argument(help="Where to write it, such as kit.jsonl; - for standard output.")
    ],
    seed: Seed = 1,
) -> None:
    """Write the kit as a file: a question a line, with the answer that is expected. The same seed, the same file."""
    lines = conformance.kit_lines(seed)
    if str(file) == "-":
        _print(lines)
        return
    with file.open("w", encoding="ascii", newline="\n") as kit_file:
        count = sum(1 for line in lines if kit_file.write(line + "\n"))
    out.print(f"{file}: {count - 1:,} questions, seed {seed}.")


@gate_app.command("verifier")
def run_verifier() -> None:
    """Hansa's own gate as a program for the kit: answers questions on its standard input."""
    _print(verifier.answers(sys.stdin))


@gate_app.command("conformance")
def run_conformance(
    program: Annotated[
        list[str], typer.Argument(help="After --: the program and its arguments, such as -- node verifier.js")
    ],
    kit_file: Annotated[
        Path | None, typer.Option("--kit", help="Ask from this file instead of making the kit.")
    ] = None,
    seed: Seed = 1,
    only: Annotated[
        str, typer.Option(help="Only areas of this name, such as replay; what sets up their gates is kept.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds that an answer may take.")] = 5.0,
    verdicts_only: Annotated[
        bool, typer.Option("--verdicts-only", help="Any reason will do for a code that is refused.")
    ] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write every wrong answer to this file, as JSON.")
    ] = None,
) -> None:
    """Ask a verifier of ride codes some 6,100 questions and say what it got wrong.

    Exit code 0: it conforms. 1: wrong answers. 2: wrong use. 3: the program did not start, hung, or broke the protocol.

    Example: [cyan]hansa gate conformance -- python -m hansa.gate.verifier[/cyan]
    """
    asked = _questions(kit_file, seed, only)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("Asking", total=len(asked))
        try:
            report = conformance.run(
                program, asked, timeout_s=timeout, told=lambda done: progress.update(task, completed=done)
            )
        except conformance.VerifierFailed as failure:
            err.print(str(failure), highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(EXIT_BROKE_OFF) from None
    if report_file is not None:
        report_file.write_text(json.dumps(report.json(), indent=1) + "\n", encoding="utf-8")
    _tell(report, shlex.join(program), verdicts_only=verdicts_only)
    if report.broke_off:
        raise typer.Exit(EXIT_BROKE_OFF)
    if not (report.is_safe if verdicts_only else report.conforms):
        raise typer.Exit(EXIT_WRONG)


def _questions(kit_file: Path | None, seed: int, only: str) -> list[Question]:
    if kit_file is None:
        asked = conformance.questions(seed)
    else:
        try:
            with kit_file.open(encoding="utf-8") as lines:
                asked = conformance.read_kit(lines)
        except ValueError as error:
            raise typer.BadParameter(f"{kit_file}: {error}", param_hint="--kit") from None
    if not only:
        return asked
    areas = list(dict.fromkeys(question.case.partition("/")[0] for question in asked))
    if only not in areas:
        raise typer.BadParameter(
            f"There is no area {only}. There are: {', '.join(areas)}.", param_hint="--only"
        )
    return [question for question in asked if question.case.startswith(f"{only}/")]


def _tell(report: Report, program: str, *, verdicts_only: bool) -> None:
    out.print(f"HRC-1 conformance of: {program}", highlight=False, markup=False, soft_wrap=True)
    table = Table("area", "asked", "right", "wrong")
    for area, (asked, right) in report.by_area.items():
        wrong = str(asked - right) if asked > right else ""
        table.add_row(area, f"{asked:,}", f"{right:,}", wrong, style="" if asked == right else "red")
    if report.answered:
        out.print(table)
    for title, wrongs in (
        ("Let in, and must be refused", report.let_in),
        ("Refused, and must be let in", report.shut_out),
        ("Refused for another reason than the specification's", report.misnamed),
    ):
        _tell_wrong(title, wrongs)
    if report.broke_off:
        out.print(
            f"\n[bold red]Broke off after {report.answered:,} of {report.questions:,} answers.[/bold red]"
        )
        out.print(report.broke_off, highlight=False, markup=False, soft_wrap=True)
        return
    out.print(
        f"\n{report.answered:,} answers in {report.took_s:.1f} s, the slowest after {report.slowest_ms:.0f} ms.",
        highlight=False,
    )
    if report.conforms:
        out.print("[bold green]It conforms to HRC-1.[/bold green]")
    elif report.is_safe and verdicts_only:
        out.print(
            "[bold green]Every verdict is right.[/bold green] Reasons differ; without --verdicts-only they count."
        )
    elif report.is_safe:
        out.print("[bold red]It does not conform:[/bold red] every verdict is right, but reasons differ.")
    else:
        out.print("[bold red]It does not conform to HRC-1.[/bold red]")


def _tell_wrong(title: str, wrongs: list[Wrong]) -> None:
    if not wrongs:
        return
    out.print(f"\n[bold]{title}: {len(wrongs):,}[/bold]")
    for wrong in wrongs[:_SHOWN_MAX]:
        told = f"  {wrong.question.case}: {wrong.answer}, not {wrong.question.expect}"
        out.print(told, highlight=False, markup=False, soft_wrap=True)
    if len(wrongs) > _SHOWN_MAX:
        out.print(f"  and {len(wrongs) - _SHOWN_MAX:,} more; --report writes them all to a file.")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)
