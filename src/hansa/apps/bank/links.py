"""The ways to the league's banks, and exchanging messages with all of them, again and again."""

import logging
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import settlement, trust
from hansa.kernel import HansaError
from hansa.settlement import desk
from hansa.store import Context

logger = logging.getLogger("hansa.banks")

EVERY = timedelta(minutes=1)


def link_to(profile: settlement.Profile, key: Ed25519PrivateKey) -> settlement.Link:
    """The way to a bank that its profile names."""
    delivery = profile.delivery
    if delivery.way == "folder":
        assert delivery.folder is not None, "the profile was checked"
        return settlement.FolderLink(Path(delivery.folder), delivery.public_key)
    assert delivery.url is not None, "the profile was checked"
    return settlement.HttpLink(delivery.url, delivery.public_key, key=key, timeout_s=delivery.timeout_s)


def exchange(
    ctx: Context, bank_id: str, key: Ed25519PrivateKey
) -> tuple[list[str], desk.Delivered, list[desk.Taken]]:
    """Ask after what is overdue, hand over what is ready, take what the bank says: questions, outcome, messages.

    Again is harmless. Errors: UnknownBank; settlement.NoAnswer where the bank's messages cannot be fetched, after
    everything was handed over.
    """
    with ctx.tx() as tx:
        profile = desk.get_profile(tx, bank_id)
    link = link_to(profile, key)
    asked = desk.ask(ctx, bank_id, key)
    sent = desk.deliver(ctx, bank_id, link, key)
    return asked, sent, desk.collect(ctx, bank_id, link)


class Exchanging:
    """Exchanges with every bank that has a profile, each minute, in a thread of its own.

    A bank that does not answer is logged and tried again; several processes may do so at once.
    """

    def __init__(self, ctx: Context, home: Path, *, every: timedelta = EVERY) -> None:
        self._ctx, self._keys, self._every = ctx, trust.KeyFolder(home / "keys"), every
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="hansa-banks", daemon=True)

    def __enter__(self) -> "Exchanging":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def turn(self) -> None:
        """One exchange with each bank."""
        with self._ctx.tx() as tx:
            banks = [row.bank_id for _, row in desk.list_profiles(tx)]
        for bank_id in banks:
            try:
                _, _, taken = exchange(self._ctx, bank_id, self._keys.bank_files())
            except HansaError as error:
                logger.warning("%s: %s: %s", bank_id, error.code, error.detail)
                continue
            for one in taken:
                if one.why:
                    logger.warning("%s: %s: %s", bank_id, one.message_id, one.why)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.turn()
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not end the exchange for good
                logger.exception("An exchange with the banks failed; the next one tries again.")
            self._stopped.wait(self._every.total_seconds())
