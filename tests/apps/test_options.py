"""What many commands are told is said once: each means the same by it, and says so in the same words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from typer.models import OptionInfo

from hansa.apps.command import PARTS, load
from hansa.apps.options import DEFAULT_HOME, Home

OWN_HOMES = ("sandbox", "witness")
"""A sandbox has a folder of its own, and a witness says what lies where in it."""


def commands(found: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group, with those of its groups; a command is its own."""
    if not hasattr(found, "commands"):
        yield name, found
        return
    for below, one in found.commands.items():
        yield from commands(one, f"{name} {below}")


def test_every_command_has_the_same_folder() -> None:
    _, option = get_args(Home)
    assert isinstance(option, OptionInfo)
    with_home: list[str] = []
    without_line: list[str] = []

    for name in PARTS:
        for path, command in commands(load(name), name):
            if not command.help:
                without_line.append(path)
            for one in command.params:
                if "--home" in one.opts and path not in OWN_HOMES:
                    with_home.append(path)
                    told = (one.help, one.envvar, Path(str(one.default)), one.required)
                    assert told == (option.help, option.envvar, DEFAULT_HOME, False), path

    assert len(with_home) >= 95
    assert without_line == []
