"""The gate's file of settings: read whole, every fault named with its remedy; and what may be changed from afar."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.codes import PRODUCTS
from hansa.gate.agent.wording import LANGUAGES
from hansa.gate.model import Action, GateIdentity
from hansa.kernel import HansaError, Problem

SourceKind = Literal["lines", "scanner", "camera"]
ActuatorKind = Literal["lines", "command", "pin"]

CAMERA = (
    "ffmpeg -nostdin -loglevel error -f v4l2 -video_size 640x480 -framerate 15 -i /dev/video0"
    " -pix_fmt gray -f yuv4mpegpipe -strict -1 -"
)
"""What is run where no camera command is named: the first camera, grey, to standard output."""

_ABSENT = object()
_MEMBER = re.compile(r"[^\x00-\x1f]{1,200}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class ConfigRefused(HansaError):
    """The gate's settings cannot be used; each fault is named."""

    code: ClassVar[str] = "gate.config_refused"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Adjustable:
    """What the league may change from afar by signed settings; the file gives the first values.

    language: BCP 47, the gate's own. languages: by issuer. digits: show four digits that the phone must sign.
    offline_after_s: so long after the last fresh deny list, or with taps waiting so long, the gate counts as without
    network. offline_max_h: so long without network, and the gate is out of order; 0 for never.
    """

    language: str = "en"
    languages: Mapping[str, str] = field(default_factory=dict[str, str])
    digits: bool = False
    deny_poll_s: int = 30
    trust_poll_s: int = 300
    clock_poll_s: int = 60
    offline_after_s: int = 900
    offline_max_h: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """All that a gate must know.

    roots: the league's root public keys (two while the root is rotated). source, actuator: kind and its own words.
    folder: where the file lies, and its paths begin. mqtt: the section of that name as it stands, None without one.
    """

    device_id: str
    identity: GateIdentity
    line_id: str | None
    league_url: str
    api_key: str | None
    ca_file: Path | None
    roots: tuple[Ed25519PublicKey, ...]
    state_folder: Path
    source: SourceKind
    source_path: Path | None
    source_command: str
    actuator: ActuatorKind
    actuator_command: str
    actuator_path: Path | None
    pulse_ms: int
    health_host: str
    health_port: int
    adjustable: Adjustable
    folder: Path
    mqtt: Mapping[str, Any] | None = None


def read_config(path: Path) -> Config:
    """The settings in this TOML file. Errors: ConfigRefused, naming every fault."""
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise _refused(
            Problem(str(path), f"it cannot be read: {error.strerror}", "Name the file's path")
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(Problem(str(path), f"it is no TOML: {error}", "Mend that line")) from error
    return config_of(values, folder=path.parent)


def config_of(values: Mapping[str, Any], *, folder: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The settings of a table that was read. folder: where paths begin. Errors: ConfigRefused."""
    read = _Reader(values, folder, os.environ if environ is None else environ)
    identity = GateIdentity(
        gate_id=read.name("gate", "gate_id"),
        operator_id=read.name("gate", "operator_id"),
        stop_id=read.name("gate", "stop_id", None),
        action=cast(Action, read.one_of("gate", "action", get_args(Action))),
        product=read.one_of("gate", "product", PRODUCTS),
        cell=read.cell(),
    )
    source = cast(SourceKind, read.one_of("source", "kind", get_args(SourceKind), "lines"))
    actuator = cast(ActuatorKind, read.one_of("actuator", "kind", get_args(ActuatorKind), "lines"))
    config = Config(
        device_id=read.matching("gate", "device_id", _DEVICE, "Use letters, digits, . _ and -, at most 64"),
        identity=identity,
        line_id=read.name("gate", "line_id", None),
        league_url=read.url(),
        api_key=read.api_key(),
        ca_file=read.path("league", "ca_file", None),
        roots=read.roots(),
        state_folder=cast(Path, read.path("gate", "state")),
        source=source,
        source_path=read.path("source", "path", _ABSENT if source == "scanner" else None),
        source_command=read.text("source", "command", CAMERA),
        actuator=actuator,
        actuator_command=read.text("actuator", "command", _ABSENT if actuator == "command" else ""),
        actuator_path=read.path("actuator", "path", _ABSENT if actuator == "pin" else None),
        pulse_ms=read.number("actuator", "pulse_ms", 10, 10_000, 500),
        health_host=read.text("health", "host", "127.0.0.1"),
        health_port=read.number("health", "port", 0, 65_535, 9464),
        adjustable=adjusted(Adjustable(), read.section("settings"), at="settings.", problems=read.problems),
        folder=folder,
        mqtt=read.section("mqtt") or None,
    )
    if config.api_key is None and config.mqtt is None and not read.problems:
        read.problems.append(
            Problem(
                "league.api_key_file",
                "there is no way to hand in taps",
                "Name the file of the gate's API key, or enrol the gate for [mqtt]",
            )
        )
    read.refuse_unknown()
    if read.problems:
        raise _refused(*read.problems)
    return config


def adjusted(
    now: Adjustable,
    values: Mapping[str, Any],
    *,
    at: str = "",
    problems: list[Problem] | None = None,
    unknown: list[str] | None = None,
) -> Adjustable:
    """These settings with what ``values`` say otherwise.

    problems: collects the faults, else they are raised. unknown: collects names that are none of ours, which are a
    fault where it is not given. Errors: ConfigRefused.
    """
    faults: list[Problem] = [] if problems is None else problems
    changes: dict[str, Any] = {}
    for name, value in values.items():
        rule = _ADJUSTABLE.get(name)
        if rule is None:
            if unknown is None:
                faults.append(
                    Problem(
                        f"{at}{name}", "there is no such setting", f"Use {', '.join(sorted(_ADJUSTABLE))}"
                    )
                )
            else:
                unknown.append(name)
            continue
        fits, remedy = rule
        if fits(value):
            changes[name] = value
        else:
            faults.append(Problem(f"{at}{name}", f"{value!r} does not fit", remedy))
    if problems is None and faults:
        raise _refused(*faults)
    return replace(now, **changes)


def _refused(*problems: Problem) -> ConfigRefused:
    return ConfigRefused("The gate's settings cannot be used.", problems=problems)


def _is_language(value: object) -> bool:
    return isinstance(value, str) and _LANGUAGE.fullmatch(value) is not None


def _is_whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_by_issuer(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(cast(dict[object, object], value)) <= 1_000
        and all(
            isinstance(issuer, str) and _is_language(language)
            for issuer, language in cast(dict[object, object], value).items()
        )
    )


_ADJUSTABLE: dict[str, tuple[Callable[[object], bool], str]] = {
    "language": (_is_language, f"Give a BCP 47 language; texts are there for {', '.join(LANGUAGES)}"),
    "languages": (_is_by_issuer, 'Give a language for each issuer, such as {"paris-card" = "fr"}'),
    "digits": (lambda value: type(value) is bool, "Give true or false"),
    "deny_poll_s": (_is_whole(1, 3_600), "Give 1 to 3600 seconds"),
    "trust_poll_s": (_is_whole(1, 86_400), "Give 1 to 86400 seconds"),
    "clock_poll_s": (_is_whole(1, 3_600), "Give 1 to 3600 seconds"),
    "offline_after_s": (_is_whole(60, 900), "Give 60 to 900 seconds"),
    "offline_max_h": (_is_whole(0, 168), "Give 0 (never) to 168 hours"),
}


class _Reader:
    """Takes fields out of the file's tables, and keeps what is wrong with them."""

    def __init__(self, values: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._values, self._folder, self._environ = values, folder, environ
        self._asked: dict[str, set[str] | None] = {}

    def section(self, name: str) -> Mapping[str, Any]:
        self._asked[name] = None
        value = self._values.get(name, {})
        if isinstance(value, dict):
            return cast(dict[str, Any], value)
        self._fault(name, "it is no table", f"Write [{name}] and its fields under it")
        return {}

    def text(self, section: str, name: str, default: object = _ABSENT) -> str:
        value = self._get(section, name, default)
        if value is default and value is not _ABSENT:
            return cast(str, default)
        if isinstance(value, str) and value:
            return value
        if value is not _ABSENT:
            self._fault(f"{section}.{name}", f"{value!r} is no text", "Put it in quotes")
        return ""

    def matching(
        self, section: str, name: str, form: re.Pattern[str], remedy: str, default: object = _ABSENT
    ) -> Any:
        value = self.text(section, name, default)
        if value and not form.fullmatch(value):
            self._fault(f"{section}.{name}", f"{value!r} does not fit", remedy)
        return value

    def name(self, section: str, name: str, default: object = _ABSENT) -> Any:
        return self.matching(section, name, _MEMBER, "Use at most 200 printable characters", default)

    def one_of(self, section: str, name: str, choices: tuple[str, ...], default: object = _ABSENT) -> str:
        value = self.text(section, name, default)
        if value and value not in choices:
            self._fault(f"{section}.{name}", f"{value!r} is unknown", f"Choose from {', '.join(choices)}")
        return value

    def number(self, section: str, name: str, least: int, most: int, default: int) -> int:
        value = self._get(section, name, default)
        if type(value) is int and least <= value <= most:
            return value
        self._fault(f"{section}.{name}", f"{value!r} does not fit", f"Give {least} to {most}")
        return default

    def path(self, section: str, name: str, default: object = _ABSENT) -> Path | None:
        value = self.text(section, name, default)
        return self._folder / value if value else None

    def cell(self) -> bytes:
        value = self._get("gate", "cell", "000000")
        try:
            cell = bytes.fromhex(cast(str, value))
        except (TypeError, ValueError):
            cell = b""
        if len(cell) != 3:
            self._fault(
                "gate.cell",
                f"{value!r} is no place",
                "Give 6 hex digits, 000000 on a vehicle (docs/ride-code)",
            )
        return cell

    def url(self) -> str:
        value = self.text("league", "url").rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            self._fault("league.url", f"{value!r} is no address", "Begin it with https://")
        return value

    def roots(self) -> tuple[Ed25519PublicKey, ...]:
        value = self._get("league", "roots")
        if value is _ABSENT:
            return ()
        roots: list[Ed25519PublicKey] = []
        rows = cast(list[object], value) if isinstance(value, list) else []
        for row in rows:
            try:
                roots.append(Ed25519PublicKey.from_public_bytes(bytes.fromhex(cast(str, row))))
            except (TypeError, ValueError):
                self._fault("league.roots", f"{row!r} is no root key", "Give 64 hex digits of Ed25519")
        if not rows:
            self._fault("league.roots", "there is none", "Give the league's root key, two while it changes")
        return tuple(roots)

    def api_key(self) -> str | None:
        """From a file or the environment; none where taps go by MQTT alone."""
        file, env = self.path("league", "api_key_file", None), self.text("league", "api_key_env", "")
        if env:
            if env in self._environ:
                return self._environ[env]
            self._fault("league.api_key_env", f"{env} is not set", "Set it, or name an api_key_file")
        if file is None:
            return None
        try:
            return file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._fault("league.api_key_file", f"{file} cannot be read: {error}", "Put the key there")
            return None

    def refuse_unknown(self) -> None:
        for section, value in self._values.items():
            if section not in self._asked:
                known = ", ".join(sorted(self._asked))
                self._fault(section, "there is no such section", f"Use {known}")
                continue
            asked = self._asked[section]
            if asked is not None and isinstance(value, dict):
                for name in cast(dict[str, Any], value).keys() - asked:
                    known = ", ".join(sorted(asked))
                    self._fault(f"{section}.{name}", "there is no such field", f"Use {known}")

    def _get(self, section: str, name: str, default: object = _ABSENT) -> Any:
        asked = self._asked.setdefault(section, set())
        if asked is not None:
            asked.add(name)
        table = self._values.get(section, {})
        if not isinstance(table, dict):
            self._fault(section, "it is no table", f"Write [{section}] and its fields under it")
            return default
        value = cast(dict[str, Any], table).get(name, default)
        if value is _ABSENT:
            self._fault(
                f"{section}.{name}", "it is missing", "Add it (docs/operating/gates.md has an example)"
            )
        return value

    def _fault(self, where: str, what: str, remedy: str) -> None:
        problem = Problem(where, what, remedy)
        if problem not in self.problems:
            self.problems.append(problem)
