"""Secrets come by file or environment, in versions, and are refused rather than used when they are unfit."""

import base64
from pathlib import Path

import pytest

from hansa.kernel import InvalidInput
from hansa.store import SecretMissing, SecretUnfit, list_secrets, read_secret, rotate_secret

ONE, TWO = bytes(range(32)), bytes(range(32, 72))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def test_a_missing_secret_is_made_only_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match="hansa secrets rotate pepper"):
        read_secret("pepper", tmp_path / "keys")
    assert not (tmp_path / "keys").exists()

    made = read_secret("pepper", tmp_path / "keys", make=True)

    assert (made.newest, len(made.value)) == (1, 32)
    assert (tmp_path / "keys" / "pepper.1").stat().st_mode & 0o777 == 0o600
    assert read_secret("pepper", tmp_path / "keys").value == made.value
    assert made.value.hex() not in repr(made)


def test_the_newest_is_written_with_and_all_are_read_with(tmp_path: Path) -> None:
    first = rotate_secret("sealing", tmp_path)
    second = [rotate_secret("sealing", tmp_path) for _ in range(9)][-1]

    assert (first.newest, second.newest, sorted(second.versions)) == (1, 10, list(range(1, 11)))
    assert second.version(1) == first.value != second.value
    (tmp_path / "sealing.1").unlink()
    with pytest.raises(SecretMissing, match="Version 1"):
        read_secret("sealing", tmp_path).version(1)


def test_it_comes_by_the_environment_or_by_a_file_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "given"
    file.write_text(f"1:{_text(ONE)}\n2:{_text(TWO)}=\n")
    file.chmod(0o600)
    rotate_secret("pin-pepper", tmp_path)
    monkeypatch.setenv("HANSA_SECRET_PIN_PEPPER_FILE", str(file))

    by_file = read_secret("pin-pepper", tmp_path)
    monkeypatch.setenv("HANSA_SECRET_PIN_PEPPER", _text(ONE))
    by_environment = read_secret("pin-pepper", tmp_path)

    assert (by_file.versions, by_file.value) == ({1: ONE, 2: TWO}, TWO)
    assert (by_environment.versions, by_environment.where) == ({1: ONE}, "HANSA_SECRET_PIN_PEPPER")
    assert [secret.name for secret in list_secrets(tmp_path)] == ["pin-pepper"]
    with pytest.raises(SecretUnfit, match="as a line of its own"):
        rotate_secret("pin-pepper", tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        _text(ONE[:31]),
        f"0:{_text(ONE)}",
        f"1:{_text(ONE)},1:{_text(TWO)}",
        f"x:{_text(ONE)}",
        "!" * 50,
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSA_SECRET_PEPPER", given)

    with pytest.raises(SecretUnfit) as refused:
        read_secret("pepper", tmp_path)

    assert "HANSA_SECRET_PEPPER" in str(refused.value)
    assert not given or given not in str(refused.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    rotate_secret("pepper", tmp_path)
    (tmp_path / "pepper.1").chmod(0o640)

    with pytest.raises(SecretUnfit, match="chmod 600"):
        read_secret("pepper", tmp_path)


def test_other_files_of_the_folder_are_no_secrets(tmp_path: Path) -> None:
    for name in ("league-root.pem", "pepper.0", "pepper.x", "Pepper.1", ".pepper.1.aa", "pepper.1.bak"):
        (tmp_path / name).write_text("x")

    assert list_secrets(tmp_path) == []
    with pytest.raises(InvalidInput):
        read_secret("../pepper", tmp_path)
