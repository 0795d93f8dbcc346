"""Private keys in a folder: made once, read again, and for their owner's eyes only."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hansa.kernel import InvalidInput
from hansa.trust import KeyFolder, KeyUnfit


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = KeyFolder(tmp_path / "keys")
    root, issuer = first.league_root(), first.issuer("london-card")

    again = KeyFolder(tmp_path / "keys")

    assert again.league_root().private_bytes_raw() == root.private_bytes_raw()
    assert again.issuer("london-card").private_bytes_raw() == issuer.private_bytes_raw()
    assert root.private_bytes_raw() != issuer.private_bytes_raw()


def test_only_the_owner_may_read_keys(tmp_path: Path) -> None:
    KeyFolder(tmp_path / "keys").league_root()

    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()] == [0o600]


def test_two_that_make_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    def make(_: int) -> bytes:
        return KeyFolder(tmp_path).issuer("a").private_bytes_raw()

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(make, range(16)))

    assert len(set(keys)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["issuer-a.pem"]


def test_a_key_others_may_read_is_not_used(tmp_path: Path) -> None:
    KeyFolder(tmp_path).league_root()
    (tmp_path / "league-root.pem").chmod(0o644)

    with pytest.raises(KeyUnfit, match="chmod 600"):
        KeyFolder(tmp_path).league_root()


def test_a_damaged_key_is_told_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "league-root.pem"
    file.touch(0o600)

    with pytest.raises(KeyUnfit):
        KeyFolder(tmp_path).league_root()

    assert file.read_bytes() == b""


@pytest.mark.parametrize("name", ["", "../root", "A", "a/b", "a b", "a-"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        KeyFolder(tmp_path).issuer(name)

    assert list(tmp_path.iterdir()) == []
