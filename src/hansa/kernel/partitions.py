"""Which ledger partition a holder's money lives in: a stable hash to a bucket, a directory to a partition."""

import hashlib
from dataclasses import dataclass, field
from uuid import UUID

BUCKETS = 4096
"""How many buckets holders are spread over; fixed for ever, since it is part of where a row is found."""


def bucket_of(holder: UUID) -> int:
    """The bucket of a holder, 0 to 4095: the first 12 bits of SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(holder.bytes).digest()[:2], "big") >> 4


@dataclass(frozen=True, slots=True)
class Directory:
    """Which partition serves each bucket. One partition, 0, on a laptop; a new version when buckets move."""

    version: int = 1
    partitions: tuple[int, ...] = field(default=(0,) * BUCKETS)
    is_parted: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_parted", len(set(self.partitions)) > 1)

    def partition_of(self, holder: UUID) -> int:
        """The ledger partition in which all rows of this holder stand."""
        return self.partitions[bucket_of(holder)] if self.is_parted else self.partitions[0]
