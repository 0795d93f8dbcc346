"""What handling personal data needs from outside: the keys that seal them, who proves names, who brings messages.

Read from the home folder and the environment, once for a process. HANSA_PROOFING_URL names a provider of proofs;
without it a demonstration asks the simulated one, and nobody else asks any. Messages go to ``home/messages``.
"""

import base64
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import monotonic

from hansa import identity
from hansa.apps.messages import FolderMessenger
from hansa.apps.personal_data import carry_out_deletions, end_wards_of_age, look_at_ages
from hansa.apps.proofing import HttpProvider, NoProvider, SimulatedProvider
from hansa.kernel import HansaError
from hansa.store import Context, read_secret

logger = logging.getLogger("hansa.personal")

PROVIDER_URL = "HANSA_PROOFING_URL"
PROVIDER_NAME = "HANSA_PROOFING_NAME"
PROVIDER_KEY = "proofing-provider"
"""The secret that a provider of proofs knows us by."""


EVERY_S = 10.0
"""How often the worker looks after personal data, in seconds."""


@dataclass(frozen=True, slots=True)
class Means:
    """sealer: seals and opens. provider: asked whether a name and a document belong together. messenger: sends."""

    sealer: identity.Sealer
    provider: identity.ProofProvider
    messenger: FolderMessenger


@cache
def means_of(home: Path, *, demo: bool) -> Means:
    """The means of this home folder. demo: its secrets are made when they are first wanted.

    Errors: store.SecretMissing with how to make one, store.SecretUnfit; InvalidInput for a provider's address.
    """
    keys = home / "keys"
    # Asked for once more when a version is met that was not there; only then may a demonstration's be made.
    sealer = identity.Sealer(
        partial(read_secret, identity.PERSONAL_DATA, keys, make=demo),
        partial(read_secret, identity.LOOKUPS, keys, make=demo),
    )
    return Means(sealer, _provider(keys, demo=demo), FolderMessenger(home / "messages"))


def _provider(keys: Path, *, demo: bool) -> identity.ProofProvider:
    url = os.environ.get(PROVIDER_URL)
    if url:
        key = base64.urlsafe_b64encode(read_secret(PROVIDER_KEY, keys).value).decode().rstrip("=")
        return HttpProvider(url, key=key, name=os.environ.get(PROVIDER_NAME, "provider"))
    return SimulatedProvider() if demo else NoProvider()


def keep_personal_data(
    ctx: Context, home: Path, *, demo: bool, every_s: float = EVERY_S
) -> Callable[[], None]:
    """For each turn of the worker: ask providers again, wrap keys anew, end what time ends, carry deletions out.

    every_s: how often that is done at most. A house without the secrets has no personal data to keep; it is told once
    and left alone.
    """
    told: list[str] = []
    done_at = -every_s

    def turn() -> None:
        nonlocal done_at
        if monotonic() - done_at < every_s:
            return
        done_at = monotonic()
        try:
            means = means_of(home, demo=demo)
            means.sealer.look_again()
        except HansaError as error:
            if error.detail not in told:
                told.append(error.detail)
                logger.warning("%s: %s", error.code, error.detail)
            return
        policy = identity.own_level_policy()
        identity.finish_proofings(ctx, means.sealer, means.provider, policy=policy)
        identity.rewrap(ctx, means.sealer)
        identity.renew_document_digests(ctx, means.sealer)
        identity.renew_contact_digests(ctx, means.sealer)
        look_at_ages(ctx, means.sealer)
        end_wards_of_age(ctx, means.sealer)
        carry_out_deletions(ctx)

    return turn
