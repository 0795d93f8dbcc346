"""The commands of ``hansa device``, and ``hansa gate enrol`` and ``renew``: boxes, their broker and its desk."""

import getpass
import json
import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hansa import trust
from hansa.apps.devices.broker import Access, BrokerFolder, registrar_of
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.gate.agent import enrol as enrolling
from hansa.kernel import InvalidInput, Problem, SystemClock

out = Console(width=None if sys.stdout.isatty() else 120)

device_app = typer.Typer(
    no_args_is_help=True, help="Devices: boxes of the league, their broker, their settings."
)

Device = Annotated[str, typer.Argument(help="The device's name, such as bank-station-in-3.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")]
LISTED = 1_000


@device_app.command()
def add(
    device: Device,
    gate: Annotated[str, typer.Option(help="The gate that it acts for; its operator owns the device.")],
    kind: Annotated[str, typer.Option(help="gate, vehicle or validator.")] = "gate",
    vehicle: Annotated[str | None, typer.Option(help="What it rides on.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="What it is used for; may be given again.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Register a box and print the one-time code with which it enrols within a day.

    Example: [cyan]hansa device add bank-in-3 --gate london-tfl.bank.in[/cyan]
    """
    kinds: dict[str, trust.DeviceKind] = {one: one for one in trust.DEVICE_KINDS}
    if kind not in kinds:
        raise typer.BadParameter(
            f"There is no kind {kind}. There are: {', '.join(kinds)}.", param_hint="--kind"
        )
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        operator_id = trust.get_gate(tx, gate).operator_id
        new = trust.NewDevice(device, kinds[kind], operator_id, gate, vehicle, tuple(role or ()))
        trust.add_devices(tx, [new], ctx.clock.now())
        code = trust.invite_device(tx, device, ctx.clock.now())
    print(code)


@device_app.command("list")
def list_all(
    text: Annotated[str, typer.Argument(help="Part of a name.")] = "",
    status: Annotated[str | None, typer.Option(help=f"{', '.join(trust.DEVICE_STATUSES)}.")] = None,
    alerted: Annotated[bool, typer.Option("--alerts", help="Only those with alerts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show devices with what they said last."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = trust.list_device_states(tx, text=text or None, status=status, alerted=alerted, limit=LISTED)
        counts = trust.count_devices(tx)
    if as_json:
        for one in found:
            print(json.dumps(_line(one)))
        return
    table = Table(
        "device", "gate", "status", "network", "clock", "deny list", "settings", "firmware", "alerts"
    )
    for one in found:
        network = "online" if one.connected else "offline"
        offset = "" if one.clock_offset_ms is None else f"{one.clock_offset_ms:+,} ms"
        table.add_row(
            *(one.device.device_id, one.device.gate_id, one.device.status, network, offset),
            *(
                "" if one.deny_list is None else str(one.deny_list),
                f"{one.settings or 0}/{one.settings_wanted or 0}",
            ),
            *(one.firmware or "", str(one.alerts or "")),
        )
    out.print(table)
    out.print(
        f"{counts.devices:,} devices, {counts.connected:,} online, {counts.alerts:,} alerts.", highlight=False
    )


@device_app.command()
def invite(device: Device, home: Home = DEFAULT_HOME) -> None:
    """Print a new one-time code for a box, as after a repair. A suspended one is let back by it."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        now = ctx.clock.now()
        if trust.get_device(tx, device).status == "suspended":
            trust.set_device_status(tx, device, "invited", now, made_by=_who())
        print(trust.invite_device(tx, device, now))


@device_app.command()
def suspend(device: Device, reason: Why = "", home: Home = DEFAULT_HOME) -> None:
    """Shut a box out at once: its certificate, its API key, its connection. ``hansa device invite`` lets it back."""
    _set(home, device, "suspended", reason)


@device_app.command()
def retire(device: Device, reason: Why = "", home: Home = DEFAULT_HOME) -> None:
    """Shut a box out for good."""
    _set(home, device, "retired", reason)


@device_app.command()
def settings(
    device: Device,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="name=value, such as language=zh; may be given again.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help="Leave this to the box again.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show what a box is set to, or change it. Values: true, false, a whole number, else text.

    Example: [cyan]hansa device settings bank-in-3 --set language=zh --set digits=true[/cyan]
    """
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        state = trust.get_device_state(tx, device)
        newest = trust.device_settings(tx, device, 1)
        values = dict(newest[0].values) if newest else {}
        if change or unset:
            for one in change or []:
                name, sign, value = one.partition("=")
                if not sign:
                    raise typer.BadParameter(f"{one!r} is not name=value.", param_hint="--set")
                values[name] = setting_of(value)
            for name in unset or []:
                values.pop(name, None)
            wanted = trust.set_device_settings(tx, device, values, at=ctx.clock.now(), made_by=_who())
        else:
            wanted = newest[0] if newest else None
    if wanted is None:
        out.print(f"{device} has no settings of the league's.", highlight=False)
        return
    follows = "follows them" if state.settings == wanted.version else f"follows version {state.settings or 0}"
    out.print(f"Version {wanted.version}, by {wanted.made_by}; the device {follows}.", highlight=False)
    print(json.dumps(wanted.values, ensure_ascii=False, sort_keys=True))


@device_app.command()
def broker(
    host: Annotated[str, typer.Option(help="How devices reach it: a name or an address.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="8883 is MQTT over TLS.")] = 8_883,
    name: Annotated[
        list[str] | None, typer.Option(help="Another name it is reached by; may be given again.")
    ] = None,
    bind: Annotated[str, typer.Option(help="Listen on this address only.")] = "",
    root: Annotated[
        str | None,
        typer.Option(help="The league's root key, 64 hex digits; this folder's if not given."),
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this operator's boxes come here, where there are several brokers; may be given again."
        ),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Then run Mosquitto on it, until Ctrl-C.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the broker's folder: settings for Mosquitto, its certificate, and who may speak where.

    Again is harmless: the certificate is made anew. ``hansa device desk`` keeps the rest up to date.
    """
    now = SystemClock().now()
    keys = trust.KeyFolder(home / "keys")
    folder = BrokerFolder(home / "broker")
    ca = trust.DeviceCa.in_folder(home / "keys", now)
    folder.make(
        ca,
        root_public=_root(root, keys),
        host=host,
        port=port,
        names=name or [],
        at=now,
        bind=bind,
        members=member or [],
    )
    folder.desk_files(ca, "main", now)
    if not (folder.path / "acl").exists():
        folder.write_access(ca, Access((), (), ()), now)
    out.print(f"{folder.path}: a broker for {host}:{port}.", highlight=False, soft_wrap=True)
    if not run:
        out.print(
            "Run it: mosquitto -c " + str(folder.path / "mosquitto.conf"), highlight=False, soft_wrap=True
        )
        return
    command = folder.command()
    out.print("Running Mosquitto. Stop with Ctrl-C.")
    os.execv(command[0], command)  # noqa: S606 - the path was looked up just now


@device_app.command()
def desk(
    name: Annotated[
        str,
        typer.Option(
            help="Two desks at once need two names; each is let in once the broker's folder knows it."
        ),
    ] = "main",
    home: Home = DEFAULT_HOME,
) -> None:
    """Listen at the broker: keep taps and telemetry, answer, tell lists and settings, watch, until told to stop."""
    from hansa.apps.devices.desk import desk_of

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    now = SystemClock().now()
    folder = BrokerFolder(home / "broker")
    folder.address()
    with opened(home, join=True) as ctx:
        ca, keys = trust.DeviceCa.in_folder(home / "keys", now), trust.KeyFolder(home / "keys")
        stop = _told_to_stop()
        with desk_of(ctx, folder, ca, keys, name=name) as working:
            out.print("Working. Stop with Ctrl-C.")
            stop.wait()
        out.print(f"{working.messages:,} messages, {working.taps:,} taps.", highlight=False)


@device_app.command()
def simulate(
    count: Annotated[int, typer.Argument(min=1, max=500, help="How many boxes.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed makes other boxes.")] = 1,
    every_s: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between what a box says.")
    ] = 10.0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Make up boxes that connect, drift, lose their network and come back, until told to stop. They let nobody in."""
    from hansa.apps.devices import simulate as simulating

    now = SystemClock().now()
    registrar = registrar_of(home, now)
    if registrar is None:
        raise trust.NoBroker
    with opened(home, join=True) as ctx:
        lists = trust.KeyFolder(home / "keys").lists().public_key()
        boxes = simulating.make_boxes(ctx, registrar, lists, home / "simulated", count, seed=seed)
        out.print(f"{count:,} boxes. Stop with Ctrl-C.", highlight=False)
        simulating.run(ctx, boxes, _told_to_stop(), every=timedelta(seconds=every_s))


def gate_enrol(
    league: Annotated[str, typer.Argument(help="The league's address, such as https://league.example.")],
    code: Annotated[str, typer.Argument(help="The one-time code from the operator.")],
    folder: Annotated[Path, typer.Option(help="Where the box keeps its key and settings.")] = Path(),
    root: Annotated[
        str | None, typer.Option(help="The league's root key as you were told it; another is refused.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="Who signed the league's certificate, PEM.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Enrol a box anew that has enrolled before.")
    ] = False,
) -> None:
    """Enrol this box: it makes its key, gets its certificate, and writes gate.toml for ``hansa gate run``."""
    box = enrolling.enrol(league, code, folder, root=root, ca_file=ca_file, again=again)
    out.print(f"{box.device_id} speaks for gate {box.gate_id} until {box.ends_at:%Y-%m-%d}.", highlight=False)
    out.print(f"Root of the league: {box.root}", highlight=False, soft_wrap=True)
    if not league.startswith("https://"):
        out.print("The code went over plain http: whoever listened may have used it. Compare the root.")
    out.print(
        f"{box.config}: add [source] and [actuator] as this box needs them.", highlight=False, soft_wrap=True
    )


def gate_renew(
    config: Annotated[Path, typer.Option(help="The box's file of settings.")] = Path("gate.toml"),
    now: Annotated[bool, typer.Option("--now", help="Also when the certificate is good for long.")] = False,
) -> None:
    """Get this box's next certificate when the present one ends within 60 days. Run it once a day."""
    ends_at = enrolling.renew(config, always=now)
    out.print("It is early yet." if ends_at is None else f"Good until {ends_at:%Y-%m-%d}.", highlight=False)


def setting_of(text: str) -> bool | int | str:
    """A value as it is typed: ``true``, ``false``, a whole number, else the text itself."""
    if text in ("true", "false"):
        return text == "true"
    digits = text.removeprefix("-")
    if (
        digits.isascii()
        and digits.isdigit()
        and (digits == "0" or not digits.startswith("0"))
        and len(digits) < 17
    ):
        return int(text)
    return text


@device_app.command("rules")
def list_rules(home: Home = DEFAULT_HOME) -> None:
    """Show when somebody is told of a device: each rule with its threshold."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = trust.list_device_rules(tx)
    table = Table("rule", "told when", "threshold", "", box=None)
    for one in found:
        table.add_row(one.rule, one.told, str(one.threshold), "" if one.is_on else "off")
    out.print(table)


@device_app.command("rule")
def set_rule(
    rule: Annotated[str, typer.Argument(help="Its name, as the list of rules shows it.")],
    threshold: Annotated[int, typer.Argument(help="In the unit that its words say.")],
    reason: Why,
    off: Annotated[bool, typer.Option("--off", help="Tell nobody of it.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Set when somebody is told of a device, from the next check on.

    Example: [cyan]hansa device rule offline 1200 --reason "the tunnel has no network"[/cyan]
    """
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        new = trust.set_device_rule(
            tx, rule, threshold=threshold, is_on=not off, by=_who(), reason=reason, at=ctx.clock.now()
        )
    out.print(f"{rule}: {new.told if new.is_on else 'off'}.", highlight=False)


def _set(home: Path, device: str, status: trust.DeviceStatus, reason: str) -> None:
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        changed = trust.set_device_status(tx, device, status, ctx.clock.now(), made_by=_who(), reason=reason)
    out.print(f"{device} is {status}{'' if changed else ' already'}.", highlight=False)


def _who() -> str:
    return f"command:{getpass.getuser()}"


def _root(text: str | None, keys: trust.KeyFolder) -> bytes:
    if text is None:
        return keys.league_root().public_key().public_bytes_raw()
    try:
        root = bytes.fromhex(text)
    except ValueError:
        root = b""
    if len(root) != 32:
        problem = Problem(
            "root", f"{text!r} is no key", "Give 64 hex digits; hansa trust publish prints them"
        )
        raise InvalidInput("This cannot be the root.", problems=(problem,))
    return root


def _told_to_stop() -> Event:
    stop = Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, lambda _number, _frame: stop.set())
    return stop


def _line(one: trust.DeviceState) -> dict[str, Any]:
    return {
        "device_id": one.device.device_id,
        "gate_id": one.device.gate_id,
        "status": one.device.status,
        "connected": one.connected,
        "clock_offset_ms": one.clock_offset_ms,
        "deny_list": one.deny_list,
        "trust_list": one.trust_list,
        "settings": one.settings,
        "settings_wanted": one.settings_wanted,
        "pending": one.pending,
        "firmware": one.firmware,
        "alerts": one.alerts,
    }
