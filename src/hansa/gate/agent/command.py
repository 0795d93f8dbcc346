"""The command: ``hansa-gate run --config gate.toml``, and the same behind ``hansa gate run``."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType

from hansa import __version__
from hansa.gate.agent.actuators import Actuator, CommandActuator, LineActuator, PinActuator
from hansa.gate.agent.agent import STATE, Agent
from hansa.gate.agent.camera import CameraSource
from hansa.gate.agent.config import Config, ConfigRefused, read_config
from hansa.gate.agent.folder import Folder
from hansa.gate.agent.health import HealthServer
from hansa.gate.agent.link import HttpLink, Link
from hansa.gate.agent.sources import LineSource, ScannerSource, Source
from hansa.gate.state import FileState
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.gate")

EXIT_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The program: 0 after a proper end, 2 when it cannot begin, with the reason and the remedy on standard error."""
    parser = argparse.ArgumentParser(prog="hansa-gate", description="A gate of the Hansa league.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="run this gate until it is told to stop")
    run_parser.add_argument("--config", type=Path, required=True, help="its file of settings, gate.toml")
    run_parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    go_on_parser = commands.add_parser("go-on", help="take the place of a gate whose device is gone")
    go_on_parser.add_argument("--config", type=Path, required=True, help="its file of settings, gate.toml")
    go_on_parser.add_argument(
        "sequence", type=int, help="the number of the last tap that the back office has"
    )
    go_on_parser.add_argument("chain", help="that tap's link, 64 hex digits")
    enrol_parser = commands.add_parser(
        "enrol", help="get this box's certificate and settings, with a one-time code"
    )
    enrol_parser.add_argument("league", help="the league's address, such as https://league.example")
    enrol_parser.add_argument("code", help="the one-time code from the operator")
    enrol_parser.add_argument(
        "--folder", type=Path, default=Path(), help="where the box keeps key and settings"
    )
    enrol_parser.add_argument("--root", help="the league's root key as you were told it; another is refused")
    enrol_parser.add_argument("--ca-file", type=Path, help="who signed the league's certificate, PEM")
    enrol_parser.add_argument("--again", action="store_true", help="enrol a box anew")
    renew_parser = commands.add_parser(
        "renew", help="renew the box's certificate when it ends soon; run it daily"
    )
    renew_parser.add_argument("--config", type=Path, required=True, help="its file of settings, gate.toml")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "run":
            run(asked.config, verbose=asked.verbose)
        elif asked.command == "go-on":
            go_on(asked.config, asked.sequence, asked.chain)
        else:
            print(_with_certificate(asked))
    except HansaError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    return 0


def run_as_program() -> None:
    """The entry of ``hansa-gate``."""
    sys.exit(main())


def _with_certificate(asked: argparse.Namespace) -> str:
    """Enrol or renew, and what is to be said of it. Errors: EnrolFailed, ConfigRefused."""
    from hansa.gate.agent import enrol as enrolling  # X.509 is not wanted in a gate's memory

    if asked.command == "renew":
        ends_at = enrolling.renew(asked.config)
        return "It is early yet." if ends_at is None else f"Good until {ends_at:%Y-%m-%d}."
    box = enrolling.enrol(
        asked.league, asked.code, asked.folder, root=asked.root, ca_file=asked.ca_file, again=asked.again
    )
    return f"{box.device_id} speaks for gate {box.gate_id} until {box.ends_at:%Y-%m-%d}. Root: {box.root}"


def run(config_file: Path, *, verbose: bool = False) -> None:
    """Run the gate of this file of settings until TERM or Ctrl-C comes or standard input ends.

    Errors: ConfigRefused; those of `Agent`, of the source, of the actuator and of the health server, each before
    anything is judged.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    config = read_config(config_file)
    source = source_of(config)
    agent = agent_of(config)
    try:
        health = HealthServer(config.health_host, config.health_port, agent.health)
    except HansaError:
        agent.close()
        raise

    def stop(_signal: int, _frame: FrameType | None) -> None:
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    health.start()
    logger.info(
        "Gate %s begins; health at http://%s:%s/healthz",
        config.identity.gate_id,
        config.health_host,
        health.port,
    )
    try:
        agent.run(source)
    finally:
        health.close()
    logger.info("Gate %s has ended.", config.identity.gate_id)


def go_on(config_file: Path, sequence: int, chain: str) -> None:
    """Let a new device's gate go on from the last tap that the back office has (`hansa gate last-tap`).

    chain: 64 hex digits. Errors: ConfigRefused, FolderTaken, and those of `FileState.go_on_from`; nothing changed then.
    """
    config = read_config(config_file)
    try:
        link = bytes.fromhex(chain)
    except ValueError:
        link = b""
    with closing(Folder(config.state_folder)) as folder, closing(FileState(folder.file(STATE))) as state:
        state.go_on_from(config.identity.gate_id, sequence, link)


def agent_of(config: Config, actuator: Actuator | None = None) -> Agent:
    """The agent of these settings, with its links. Errors: as `run`."""
    http = HttpLink(config.league_url, config.api_key, ca_file=config.ca_file)
    links: list[Link] = [http] if config.api_key is not None else []
    if config.mqtt is None:
        return Agent(config, actuator or actuator_of(config), http, links=links)
    try:
        from hansa.gate.agent.mqtt import MqttConfig, MqttLink
    except ImportError as error:
        raise ConfigRefused(
            "The section [mqtt] needs paho-mqtt. Install it: pip install 'hansa-gate[mqtt]'."
        ) from error
    mqtt_config = MqttConfig.read(
        config.mqtt, device_id=config.device_id, stop_id=config.identity.stop_id, folder=config.folder
    )
    agent = Agent(config, actuator or actuator_of(config), http, links=links)
    agent.join(MqttLink(mqtt_config, agent, firmware=__version__))
    return agent


def source_of(config: Config) -> Source:
    """Where codes come from. Errors: NoDecoder."""
    if config.source == "camera":
        return CameraSource(config.source_command)
    if config.source == "scanner":
        assert config.source_path is not None
        return ScannerSource(config.source_path)
    return LineSource(sys.stdin.fileno())


def actuator_of(config: Config) -> Actuator:
    """What is moved. Errors: ActuatorFailed for a pin that is not there."""
    if config.actuator == "command":
        return CommandActuator(config.actuator_command)
    if config.actuator == "pin":
        assert config.actuator_path is not None
        return PinActuator(config.actuator_path, pulse_ms=config.pulse_ms)
    return LineActuator(sys.stdout)


if __name__ == "__main__":
    run_as_program()
