"""The command: ``hansa-gate run --config gate.toml``, and the same behind ``hansa gate run``."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hansa import __version__
from hansa.gate.agent.actuators import Actuator, CommandActuator, LineActuator, PinActuator
from hansa.gate.agent.agent import Agent
from hansa.gate.agent.camera import CameraSource
from hansa.gate.agent.config import Config, ConfigRefused, read_config
from hansa.gate.agent.health import HealthServer
from hansa.gate.agent.link import HttpLink, Link
from hansa.gate.agent.sources import LineSource, ScannerSource, Source
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
    asked = parser.parse_args(arguments)
    try:
        run(asked.config, verbose=asked.verbose)
    except HansaError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    return 0


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
    sys.exit(main())
