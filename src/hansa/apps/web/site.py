"""What every page and every route of one running Hansa shares."""

from dataclasses import dataclass
from pathlib import Path

from litestar.di import NamedDependency

from hansa import ledger, trust
from hansa.apps.web.gatehouse import GateHouse
from hansa.apps.web.origins import ONE_NAME, Origins
from hansa.apps.witnessing import Witnessing
from hansa.store import Context


@dataclass(frozen=True, slots=True)
class Site:
    """One running Hansa.

    home: its folder (keys, gate states, bank files). demo: riders sign in with one click, and the console is open
    to whoever sits at this machine. browser_files: where npm put the browser libraries; None if they are missing.
    signer: signs the ledger's checkpoints. list_signer: signs deny lists. witnessing: asks witnesses in this process,
    where it does. origins: under which names wallet and console are, where each has its own.
    """

    ctx: Context
    home: Path
    demo: bool
    keys: trust.KeyFolder
    gates: GateHouse
    browser_files: Path | None
    signer: ledger.Signer
    list_signer: trust.ListSigner
    witnessing: Witnessing | None = None
    origins: Origins = ONE_NAME


Here = NamedDependency[Site]
"""How a page asks for the Site it belongs to."""
