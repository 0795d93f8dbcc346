"""Run the tests nearest to what was changed, and stop before two minutes are over: ``make changed``.

Changed is what git has not committed, or what came since ``--since``. First come tests that were changed themselves,
then those of the house, then those that speak of what the changed files define, most of it first. What there was no
time for is told, with the command that runs it.
"""

import argparse
import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

BEGAN_S = time.monotonic()
ROOT = Path(__file__).parents[1]
HANSA = ROOT / "src" / "hansa"
TESTS = ROOT / "tests"
WEB = HANSA / "apps" / "web"
SECONDS = 100
"""After so many no further test begins; the one that runs, and taking the server down, have the rest."""

ADDRESS = re.compile(
    r"[\"'](/(?:v1|wallet|console|merchant|developers|fares|gate|errors|verify|entry)[\w/.-]*)"
)
NAME = re.compile(r"[A-Za-z_]\w{4,}")
OF_WORDS = ("test_web_languages", "test_web_walk_of_words")
OF_PAGES = ("test_web_security", "test_web_languages")


class Until:
    """Ends the run of tests when the time is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.session: pytest.Session | None = None
        self.left: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.session = session
        self.left = [item.nodeid for item in session.items]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if nodeid in self.left:
            self.left.remove(nodeid)
        if self.session and self.left and time.monotonic() - BEGAN_S > self.seconds:
            self.session.shouldstop = f"the time is over, {len(self.left)} tests are left"


@cache
def texts() -> dict[Path, str]:
    """Every file of tests with what stands in it."""
    return {path: path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("test_*.py"))}


def changed(since: str) -> list[Path]:
    """Files that were changed since this commit, whether committed or not, and new ones."""
    told = [
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in (["diff", "--name-only", since], ["ls-files", "--others", "--exclude-standard"])
    ]
    return sorted({ROOT / line for one in told for line in one.splitlines()})


def marks_of(path: Path) -> set[str]:
    """What a test that is about this module would speak of: its public names and its addresses."""
    text = path.read_text(encoding="utf-8")
    names = {
        name
        for node in ast.parse(text).body
        for name in (
            [node.name]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            else [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign)
            else []
        )
        if NAME.fullmatch(name) and not name.startswith("_")
    }
    return names | {found.rstrip("/") for found in ADDRESS.findall(text) if found.count("/") > 1}


@cache
def words_of(test: Path) -> frozenset[str]:
    """The names and addresses in a test."""
    text = texts()[test]
    return frozenset(re.findall(r"\w+", text)) | frozenset(_shorter(ADDRESS.findall(text)))


def _shorter(addresses: list[str]) -> Iterator[str]:
    """Each address, and each above it that still says something: /wallet/send/links and /wallet/send."""
    for address in addresses:
        parts = address.rstrip("/").split("/")
        yield from ("/".join(parts[:length]) for length in range(3, len(parts) + 1))


def speak_of(marks: set[str], tests: Iterator[Path]) -> dict[Path, int]:
    """Which of these tests speak of any of it, and of how much."""
    return {test: count for test in tests if (count := len(marks & words_of(test)))}


def below(*rooms: str) -> Iterator[Path]:
    """The tests of these rooms."""
    return (test for test in texts() if test.relative_to(TESTS).parts[0] in rooms)


def named(*stems: str) -> dict[Path, int]:
    """The tests of these names."""
    return {test: 1 for test in texts() if test.stem in stems}


def renderers(template: str) -> set[Path]:
    """Modules whose pages have this template in them."""
    found: set[Path] = set()
    wanted, seen = [template], {template}
    while wanted:
        name = wanted.pop()
        found |= {path for path in WEB.rglob("*.py") if f'"{name}"' in path.read_text(encoding="utf-8")}
        for path in (WEB / "templates").rglob("*.html"):
            other = path.relative_to(WEB / "templates").as_posix()
            if other not in seen and f'"{name}"' in path.read_text(encoding="utf-8"):
                seen.add(other)
                wanted.append(other)
    return found


def tests_near(path: Path) -> dict[Path, int]:
    """Tests that this file bears upon, the higher the nearer."""
    if path in texts():
        return {path: sys.maxsize}
    if path.is_relative_to(TESTS):
        if path.name == "conftest.py":
            return {test: 1 for test in texts() if test.is_relative_to(path.parent)}
        return speak_of({path.stem}, iter(texts()))
    if path.is_relative_to(WEB / "words"):
        return named(*OF_WORDS)
    if path.is_relative_to(WEB / "static"):
        return named(*OF_PAGES)
    if path.is_relative_to(WEB / "templates"):
        near = named(*OF_PAGES)
        for module in renderers(path.relative_to(WEB / "templates").as_posix()):
            near |= speak_of(marks_of(module), below("web"))
        return near
    if path.is_relative_to(HANSA):
        room, *inner = path.relative_to(HANSA).parts
        rooms = {room, *inner[:1]} if room == "apps" else {room}
        if path.suffix != ".py" or not path.exists():
            return dict.fromkeys(below(*rooms), 1)
        if path.name == "__init__.py":
            return {}
        near = speak_of(marks_of(path), below(*rooms, "web"))
        return near or dict.fromkeys(below(*rooms), 1)
    return {test: 1 for test, text in texts().items() if path.name in text}


def chosen(files: list[Path]) -> list[Path]:
    """The tests to run, in their order."""
    near: dict[Path, int] = {}
    for path in files:
        for test, weight in tests_near(path).items():
            near[test] = max(weight, near.get(test, 0))
    by_weight = sorted(near, key=lambda test: (-near[test], test))
    own = [test for test in by_weight if near[test] == sys.maxsize]
    return list(dict.fromkeys((*own, *below("house"), *by_weight)))


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--since", default="HEAD", help="a commit; without it, what is not committed")
    asked.add_argument("--seconds", type=float, default=SECONDS, help="no test begins after so many")
    asked.add_argument("--list", action="store_true", help="say which tests, and run none")
    given = asked.parse_args()
    tests = [test.relative_to(ROOT).as_posix() for test in chosen(changed(given.since))]
    if given.list:
        print("\n".join(tests))
        return 0
    until = Until(given.seconds)
    code = pytest.main(
        ["-q", "-m", "not slow and not browser", "--rootdir", str(ROOT), *tests], plugins=[until]
    )
    if until.left:
        files = list(dict.fromkeys(one.split("::")[0] for one in until.left))
        print(f'The time was over. To run what is left: make quick ARGS="{" ".join(files)}"')
    failed = until.session.testsfailed if until.session else 0
    return 1 if failed or code not in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED) else 0


if __name__ == "__main__":
    sys.exit(main())
