"""What every request of these doors is asked of: the database, the operator's choices, the hub's key, the ways out."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from hansa import hub
from hansa.apps.fspiop import signing, store, wire
from hansa.apps.fspiop.outside import Outside
from hansa.kernel import HansaError, new_id
from hansa.store import Context, Tx

logger = logging.getLogger("hansa.fspiop")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator has chosen.

    trusted_network: who stands in front of these doors has made sure of FSPIOP-Source (mutual TLS), so neither a key
    nor a signature is asked for. one_person: funds and members need no second person here, as at Mojaloop.
    private_calls: members may be called inside our own networks.
    """

    trusted_network: bool = False
    one_person: bool = False
    private_calls: bool = False


@dataclass(slots=True)
class Site:
    """One facade. woken: told when a call was written. intake: the hub's; set while the facade runs."""

    ctx: Context
    key: RSAPrivateKey
    choices: Choices
    outside: Outside
    intake: hub.Intake
    pool: ThreadPoolExecutor
    wake: Callable[[], None] = field(default=lambda: None)
    wake_notices: Callable[[], None] = field(default=lambda: None)
    moving: threading.Lock = field(default_factory=threading.Lock)

    def later(self, work: Callable[[], None]) -> None:
        """Do this in a thread of ours; a fault is logged, and the next turn ends what it left."""

        def run() -> None:
            try:
                work()
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # what it left is found by the next turn
                logger.exception("Work on a transfer failed; the next turn goes on with it.")

        self.pool.submit(run)

    def call(
        self,
        tx: Tx,
        member_id: str,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        tells: str | None = None,
        tells_path: str = "",
    ) -> None:
        """Write down a call to a member, in the caller's transaction. tells: whom to tell if it is in vain, about
        tells_path."""
        now = self.ctx.clock.now()
        call = store.Call(new_id(), member_id, method, path, headers, body, tells, tells_path, 0, now)
        store.insert_call(tx, call, now - timedelta(seconds=1))

    def tell(
        self, tx: Tx, member_id: str, path: str, resource: str, body: Any, like: Mapping[str, str]
    ) -> None:
        """Write down a call of our own to a member, signed by the hub. like: headers of what it answers."""
        text = wire.dump(body)
        self.call(
            tx, member_id, "PUT", path, text, self.own_headers("PUT", path, member_id, resource, text, like)
        )

    def own_headers(
        self, method: str, path: str, member_id: str, resource: str, body: bytes, like: Mapping[str, str]
    ) -> dict[str, str]:
        """The headers of a message by the hub."""
        date = wire.http_date(self.ctx.clock.now())
        return {
            "content-type": wire.content_type(resource, wire.version_of(like)),
            "date": date,
            "fspiop-source": wire.HUB,
            "fspiop-destination": member_id,
            "fspiop-uri": path,
            "fspiop-http-method": method,
            "fspiop-signature": signing.sign(
                self.key,
                method=method,
                uri=path,
                source=wire.HUB,
                destination=member_id,
                date=date,
                body=body,
            ),
        }
