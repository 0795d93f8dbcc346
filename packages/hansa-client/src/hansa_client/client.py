"""The client: one address, one key, and a room of operations for each room of Hansa."""

import time
from collections.abc import Callable
from types import TracebackType

import httpx

from hansa_client import errors as _errors
from hansa_client.core import Asking
from hansa_client.made.operations import VERSION, Rooms

del _errors  # imported so that each code has its class


class Hansa(Rooms):
    """Hansa at this address, with this key.

    key: as the portal gave it, or none for what is open to everyone. language: of ``user_message``, as in ``fr``.
    version: of the interface; the one this client was made from. http: a client of your own, whose base_url is Hansa's
    address; it is not closed here. retries, wait_s, sleep: how patient it is (see ``Asking``).
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        key: str = "",
        language: str = "en",
        version: str = VERSION,
        http: httpx.Client | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        wait_s: float = 0.2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._owned = http is None
        self._http = http or httpx.Client(base_url=base_url, timeout=timeout_s)
        self._http.headers["accept-language"] = language
        self._http.headers["hansa-version"] = version
        self._http.headers["user-agent"] = f"hansa-client/{VERSION} httpx/{httpx.__version__}"
        if key:
            self._http.headers["authorization"] = f"Bearer {key}"
        super().__init__(Asking(self._http, retries, wait_s, sleep))

    def close(self) -> None:
        """Give the connections back."""
        if self._owned:
            self._http.close()

    def __enter__(self) -> "Hansa":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()
