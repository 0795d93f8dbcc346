"""Scripts that a page needs all at once, as one file: a phone on a slow network waits once instead of for each.

The modules stay what they are, one file each under ``static/js``; a pack holds each of them as a function that gives
what it exports, in the order in which they need each other, without comments. What may stand in a module of a pack is
little, so that reading it needs no parser, and anything else is a fault that a test finds: ``import { a, b as c } from
"./x.js"`` and ``import "./x.js"`` on one line, and ``export`` before a function, a class or a const.
"""

import re
from pathlib import Path

PACKS = {"home.js": ("wallet.js", "live.js", "refunds.js")}
"""Packs by their name below ``static/js/packs``: the scripts that a page would load, in this order."""

_IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"\./([\w-]+\.js)";$')
_EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)")
_COMMENT = re.compile(r"^[ \t]*(?://[^\n]*|/\*\*(?!/).*?\*/[ \t]*)\n", re.MULTILINE | re.DOTALL)
_BLANK = re.compile(r"^[ \t]*\n", re.MULTILINE)


def modules_of(names: tuple[str, ...], folder: Path) -> list[str]:
    """These scripts and all that they import, each after those that it needs. folder: ``static/js``."""
    found: list[str] = []

    def take(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"{name} imports itself, over {above}"
        if name in found:
            return
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if match := _IMPORT.match(line):
                take(match[2], (*above, name))
        found.append(name)

    for name in names:
        take(name, ())
    return found


def pack(names: tuple[str, ...], folder: Path) -> str:
    """One module that does what these scripts do."""
    parts = [
        _wrapped(name, (folder / name).read_text(encoding="utf-8")) for name in modules_of(names, folder)
    ]
    return "".join(parts)


def without_comments(text: str) -> str:
    """A script without the lines that are comments, and those that are empty; ``/*!`` stays."""
    return _BLANK.sub("", _COMMENT.sub("", text))


def _wrapped(name: str, text: str) -> str:
    lines: list[str] = []
    given: list[str] = []
    for line in without_comments(text).splitlines():
        if match := _IMPORT.match(line):
            if match[1]:
                names = re.sub(r"(\w+) as (\w+)", r"\1: \2", match[1])
                lines.append(f"const {{{names}}} = {_variable(match[2])};")
            continue
        if match := _EXPORT.match(line):
            given.append(match[1])
            line = line.removeprefix("export ")
        assert not line.startswith(("import ", "export ")), f"{name}: a pack cannot hold: {line}"
        lines.append(line)
    body = "\n".join(lines)
    return f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {', '.join(given)} }};\n}})();\n"


def _variable(name: str) -> str:
    return "$" + name.removesuffix(".js").replace("-", "_")
