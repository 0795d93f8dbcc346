"""Audit: who did what to whom, and why, in a record that shows whether anything was changed.

Acts of all rooms flow in, each in the transaction of the deed, so neither is there without the other. A step beside
them seals what was committed: each seal covers its act and the seal before it, one chain for each member and one for
the league. Out flow pages of the record, the chains' ends to be signed, and the first place where a chain is broken.
"""

from hansa.audit.actions import check, keep_checkpoints, list_checkpoints, record, record_all, seal, search
from hansa.audit.model import LEAGUE, Act, Broken, Checked, Checkpoint, Head, KeptAct, digest_of
from hansa.audit.store import find_act, list_heads

__all__ = [
    "LEAGUE",
    "Act",
    "Broken",
    "Checked",
    "Checkpoint",
    "Head",
    "KeptAct",
    "check",
    "digest_of",
    "find_act",
    "keep_checkpoints",
    "list_checkpoints",
    "list_heads",
    "record",
    "record_all",
    "seal",
    "search",
]
