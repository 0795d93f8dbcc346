"""The spool of messages, and the commands about personal data and proofs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from hansa.apps import messages
from hansa.apps.messages import FolderMessenger, Message, NotSent

AT = datetime(2026, 11, 17, 12, tzinfo=UTC)


def message(number: int, *, minutes: int = 0) -> Message:
    return Message(
        UUID(int=number),
        "email",
        "anna@example.com",
        "Your code",
        "123456 is your code",
        "en",
        "contact_code",
        AT + timedelta(minutes=minutes),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "messages"


def test_messages_lie_in_order_each_once_and_for_their_owner_alone(folder: Path) -> None:
    spool = FolderMessenger(folder)
    for number, minutes in ((2, 5), (1, 0), (2, 5)):
        spool.send(message(number, minutes=minutes))

    assert [one.message_id.int for one in spool.latest()] == [2, 1]
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    (folder / "20991231T000000000-damaged.json").write_text("{")
    assert len(spool.latest()) == 2


def test_a_spool_that_nobody_empties_takes_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SPOOLED_MAX", 2)
    spool = FolderMessenger(folder)
    spool.send(message(1))
    spool.send(message(2))

    with pytest.raises(NotSent, match="nobody takes them"):
        spool.send(message(3))
    assert len(spool.latest()) == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "messages").write_text("a file")

    with pytest.raises(NotSent):
        FolderMessenger(tmp_path / "messages").send(message(1))


def test_the_commands_are_there_with_their_help() -> None:
    from hansa.apps.command import app

    for words in (["proofing", "--help"], ["privacy", "--help"], ["proofing", "release", str(uuid4())]):
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == (2 if "release" in words else 0), answer.output
