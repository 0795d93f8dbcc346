"""The rooms that keep tables, lowest first: the order in which their migrations are applied."""

from pathlib import Path

from hansa.store import migrate

_HERE = Path(__file__).parent.parent

ROOMS_WITH_TABLES = (
    "store",
    "audit",
    "trust",
    "webhooks",
    "identity",
    "atlas",
    "ledger",
    "approval",
    "notifications",
    "payments",
    "orders",
    "clearing",
    "hub",
    "settlement",
    "rides",
    "merchants",
    "wallets",
    "cards",
    "risk",
    "disputes",
    "reports",
    "reconciliation",
    "insights",
)

SQL_FOLDERS: dict[str, Path] = {
    room: _HERE / room / "sql" for room in ROOMS_WITH_TABLES if (_HERE / room / "sql").is_dir()
} | {"fspiop": _HERE / "apps" / "fspiop" / "sql"}
"""Where each room keeps its numbered SQL files, in the order they are applied."""


def migrate_all(url: str) -> list[str]:
    """Bring a database up to date for every room. Gives the names of the files applied just now."""
    return migrate(url, list(SQL_FOLDERS.values()))
