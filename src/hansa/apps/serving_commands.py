"""``hansa demo``, ``hansa serve``, ``hansa work``: what keeps a Hansa going."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hansa import __version__, trust
from hansa.apps.audit_commands import keep_record
from hansa.apps.bank.links import Exchanging
from hansa.apps.bank.people_rails import keep_people_rails
from hansa.apps.demo.spec import DEMO_DAY, Spec
from hansa.apps.engines import ledger_engines
from hansa.apps.notices import keep_notices
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.personal_means import keep_personal_data
from hansa.apps.trust_commands import keep_trust_list
from hansa.apps.webhook_commands import courier
from hansa.apps.witnessing import Witnessing, log_signer
from hansa.apps.worker import Worker
from hansa.kernel import FixedClock, SystemClock
from hansa.store import Context, EmbeddedServer

if TYPE_CHECKING:
    from hansa.apps.web.origins import Origins

out = Console(width=None if sys.stdout.isatty() else 120)

WalletOrigin = Annotated[
    str,
    typer.Option(
        envvar="HANSA_WALLET_ORIGIN", help="Where browsers find all but the console: https://wallet.example."
    ),
]
ConsoleOrigin = Annotated[
    str,
    typer.Option(
        envvar="HANSA_CONSOLE_ORIGIN", help="Where browsers find the console: https://console.example."
    ),
]


def demo(
    riders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people ride.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same cents.")] = 1,
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Which day they ride.")] = datetime(  # noqa: DTZ001 - a calendar day
        DEMO_DAY.year, DEMO_DAY.month, DEMO_DAY.day
    ),
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the closing page; do not serve the pages.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away an earlier demonstration in this folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with every figure of money as one line of JSON.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to serve the pages on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve the pages on.")] = 8_017,
    wallet_origin: WalletOrigin = "",
    console_origin: ConsoleOrigin = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Six cities, a day of riding, clearing between them, bank files; then the pages stay up.

    Killed half-way, the same command again finishes the day to the same cent.
    """
    from hansa.apps import web
    from hansa.apps.demo.run import DemoRun, claim_home
    from hansa.apps.demo.show import Bars, closing_page
    from hansa.apps.web.origins import origins_of

    spec = Spec(riders=riders, seed=seed, day=day.date())
    origins = origins_of(host, port, wallet_origin, console_origin, demo=True)
    if not once:
        web.listen(host, port).close()
    if fresh and home.exists():
        _throw_away(home)
    claim_home(home, spec)
    clock = FixedClock(SystemClock().now())
    out.print(f"[bold]Hansa {__version__}[/bold] · one account, honoured in every city", highlight=False)
    with opened(home, clock=clock) as ctx:
        bars = Bars(out)
        with ledger_engines(ctx, sign=log_signer(home)), bars.progress:
            summary = DemoRun(ctx, clock, spec, home, bars).run()
        here = None if once else f"http://{host}:{port}"
        closing_page(
            out, summary, home, here and (origins.wallet or here), here and (origins.console or here)
        )
        if as_json:
            print(json.dumps(summary.cents()), flush=True)
        if once and not all(check.holds for check in summary.checks):
            raise typer.Exit(1)
        if not once:
            _serve(replace(ctx, clock=SystemClock()), home, host, port, origins)


def serve(
    host: Annotated[str, typer.Option(help="Address to serve the pages on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve the pages on.")] = 8_017,
    wallet_origin: WalletOrigin = "",
    console_origin: ConsoleOrigin = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Serve the wallet, the gate screen, the console and the API on what the home folder holds."""
    from hansa.apps import web
    from hansa.apps.web.origins import origins_of

    is_demo = (home / "demo.json").is_file()
    origins = origins_of(host, port, wallet_origin, console_origin, demo=is_demo)
    web.listen(host, port).close()
    with opened(home) as ctx:
        _serve(ctx, home, host, port, origins)


def work(home: Home = DEFAULT_HOME) -> None:
    """Price taps, post charges, release holds, until told to stop. ``hansa serve`` does so by itself."""
    with (
        opened(home, join=True) as ctx,
        ledger_engines(ctx, sign=log_signer(home)),
        Worker(
            ctx,
            before=[
                keep_trust_list(ctx, trust.KeyFolder(home / "keys")),
                keep_record(ctx, home),
                keep_personal_data(ctx, home, demo=(home / "demo.json").is_file()),
                keep_people_rails(ctx, home),
                keep_notices(ctx, home, demo=(home / "demo.json").is_file()),
            ],
        ),
        Witnessing(ctx, home),
        Exchanging(ctx, home),
        courier(ctx, home),
    ):
        out.print("Working. Stop with Ctrl-C.")
        stop = Event()
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, lambda _number, _frame: stop.set())
        stop.wait()


def _throw_away(home: Path) -> None:
    """Remove an earlier demonstration; nothing else is ever removed."""
    if os.environ.get("HANSA_DATABASE_URL"):
        raise typer.BadParameter(
            "--fresh cannot empty the database of HANSA_DATABASE_URL; make a new one and name it."
        )
    if (home / "demo.json").is_file():
        EmbeddedServer(home).wipe()
        shutil.rmtree(
            home, ignore_errors=True
        )  # a server that is still going may remove its own files meanwhile
    elif any(home.iterdir()):
        raise typer.BadParameter(
            f"{home} holds no demonstration, so --fresh leaves it alone; choose another --home."
        )


def _serve(ctx: Context, home: Path, host: str, port: int, origins: "Origins") -> None:
    from hansa.apps import web

    demo = (home / "demo.json").is_file()
    out.print()
    pages = (("The wallet", "wallet"), ("A gate", "gate"), ("Fares", "fares"), ("The console", "console"))
    for name, path in pages:
        address = (origins.console if path == "console" else origins.wallet) or f"http://{host}:{port}"
        out.print(f"  {name:<13} [link={address}/{path}/]{address}/{path}/[/link]", highlight=False)
    out.print("  Stop with Ctrl-C; the same command starts it again with all its data.")
    boxes = _boxes(ctx, home) if demo else nullcontext()
    witnessing = Witnessing(ctx, home)
    app = web.create_app(ctx, home=home, demo=demo, witnessing=witnessing, origins=origins)
    before = [
        keep_trust_list(ctx, trust.KeyFolder(home / "keys")),
        keep_record(ctx, home),
        keep_personal_data(ctx, home, demo=demo),
        keep_people_rails(ctx, home),
        keep_notices(ctx, home, demo=demo),
    ]
    if demo:
        before.append(_rates_of_the_day(ctx))
    with (
        ledger_engines(ctx, sign=log_signer(home)),
        Worker(ctx, before=before),
        boxes,
        witnessing,
        Exchanging(ctx, home),
        courier(ctx, home),
    ):
        web.serve(app, host, port)


def _boxes(ctx: Context, home: Path) -> AbstractContextManager[None]:
    """Made-up gates for the console's page of devices, where there is a broker for them."""
    from hansa.apps.demo.boxes import living_boxes, make_broker
    from hansa.apps.devices.broker import NoMosquitto

    try:
        folder = make_broker(home, ctx)
    except NoMosquitto:
        out.print("  No Mosquitto here, so no devices report: sudo apt-get install mosquitto")
        return nullcontext()
    return living_boxes(home, ctx, folder)


def _rates_of_the_day(ctx: Context) -> Callable[[], None]:
    """In a demonstration the world goes on: each day that people try it on gets its exchange rates."""
    from hansa.apps.web.demo_rates import keep_rates

    kept: set[date] = set()

    def keep() -> None:
        today = ctx.clock.now().date()
        if today not in kept:
            keep_rates(ctx, today)
            kept.add(today)

    return keep
