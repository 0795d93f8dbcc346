"""The command line as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa import fares
from hansa.apps.command import PARTS, app, load

HANSA = [sys.executable, "-c", "from hansa.apps.command import main; main()"]


def hansa(*words: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = (
        os.environ | {"COLUMNS": "140", "NO_COLOR": "1"} | ({"HANSA_HOME": str(home)} if home else {})
    )
    return subprocess.run(
        [*HANSA, *words], capture_output=True, text=True, timeout=120, check=False, env=environment
    )


def test_help_names_the_first_thing_to_do_and_every_command_with_what_it_is_for() -> None:
    told = hansa("--help")

    assert told.returncode == 0
    assert "hansa demo" in told.stdout
    text = " ".join(told.stdout.replace("│", " ").split())
    assert [name for name, part in PARTS.items() if f"{name} {' '.join(part.line.split())}" not in text] == []


def test_nobody_waits_for_more_than_the_command_that_is_named() -> None:
    asking = "import sys; from hansa.apps.command import app; app({words}, standalone_mode=False); print(*sys.modules)"

    def loaded(*words: str) -> set[str]:
        told = subprocess.run(
            [sys.executable, "-c", asking.format(words=list(words))],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return {name for name in told.stdout.split() if name.startswith("hansa.")}

    assert loaded("version") == loaded("--help")
    assert not {"hansa.store", "hansa.ledger", "hansa.apps.web"} & loaded("--help")
    books = loaded("ledger", "--help")
    assert "hansa.ledger" in books and "hansa.apps.web" not in books


@pytest.mark.parametrize("name", PARTS)
def test_every_command_explains_itself_as_the_list_does(name: str) -> None:
    command = load(name)
    told = CliRunner().invoke(app, [name, "--help"])

    assert told.exit_code == 0, told.output
    assert len(told.stdout.splitlines()) > 5
    line = (command.help or "").split("\n\n")[0].replace("\n", " ")
    assert line == PARTS[name].line


def test_each_module_of_commands_is_named_by_a_part_that_has_all_of_them() -> None:
    """A module that adds commands to a group of another's would be forgotten if only that other one were imported."""
    counting = (
        "import importlib; from pathlib import Path; import hansa.apps; from hansa.apps.command import PARTS\n"
        "groups = {name: part.imported() for name, part in PARTS.items()}\n"
        "def sizes():\n"
        "    return {name: len(getattr(one, 'registered_commands', ())) for name, one in groups.items()}\n"
        "before = sizes()\n"
        "for path in Path(hansa.apps.__file__).parent.glob('*_commands.py'):\n"
        "    importlib.import_module(f'hansa.apps.{path.stem}')\n"
        "after = sizes()\n"
        "print({name: (n, after[name]) for name, n in before.items() if after[name] != n}, after['audit'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", counting], capture_output=True, text=True, timeout=120, check=True
    )
    assert told.stdout.split() == ["{}", "4"], told.stdout


def test_a_command_that_is_not_there_is_refused_and_the_nearest_is_named() -> None:
    told = CliRunner().invoke(app, ["legder", "tree"])

    assert told.exit_code == 2
    assert "ledger" in told.stderr


def test_a_feed_that_is_not_a_zip_is_refused_with_a_remedy(tmp_path: Path) -> None:
    feed = tmp_path / "feed.zip"
    feed.write_bytes(b"not a zip at all")
    city = Path(__file__).parents[2] / "src/hansa/atlas/cities/utsunomiya/city.toml"

    told = hansa(
        "atlas",
        "import",
        str(feed),
        "--city",
        str(city),
        "--operator",
        "utsunomiya-lightline",
        home=tmp_path / "h",
    )

    assert told.returncode == 1
    assert "feed.zip" in told.stderr
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "h").exists()


def test_a_tariff_with_problems_names_file_and_field(tmp_path: Path) -> None:
    (tmp_path / "tariff.toml").write_text('operator = "nowhere"\ncurrency = "XXX"\n')

    told = hansa("tariff", "check", str(tmp_path))

    assert told.returncode == 1
    assert "tariff.toml" in told.stderr
    assert "currency" in told.stderr


def test_a_tariff_with_a_gap_names_a_pair_of_stops(tmp_path: Path) -> None:
    text = (fares.tariff_folder("beijing-subway") / "tariff.toml").read_text()
    head, _, tail = text.partition("[basis.beyond]")
    (tmp_path / "tariff.toml").write_text(head + tail[tail.index("\n[") :])

    told = hansa("tariff", "check", str(tmp_path))

    assert told.returncode == 1
    assert "error" in told.stdout and "tariff.toml" in told.stdout and "errors" in told.stdout
    whole = CliRunner().invoke(app, ["tariff", "check", str(fares.tariff_folder("beijing-subway"))])
    assert whole.exit_code == 0, whole.output


def test_fresh_leaves_a_folder_alone_that_holds_no_demonstration(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("keep me")

    words = ["demo", "--once", "--fresh", "--riders", "1", "--home", str(tmp_path)]
    told = CliRunner().invoke(app, words, env={"HANSA_DATABASE_URL": ""})

    assert told.exit_code == 2 and "choose another --home" in " ".join(told.stderr.replace("│", " ").split())
    assert (tmp_path / "letters.txt").read_text() == "keep me"
