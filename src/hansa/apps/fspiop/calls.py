"""Calling members: each call is written down in the commit that makes it due, and made until the member takes it.

A request that one member has for another is given up after a few tries, and who asked is told. What the hub itself has
to say is tried for a day. Notices of the hub come the same way, by `hub.Courier`, whose sender this is.
"""

import threading
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import unquote

from hansa import hub
from hansa.apps.fspiop import store
from hansa.apps.fspiop.errors import Refused, error_body
from hansa.apps.fspiop.outside import Unreachable
from hansa.apps.fspiop.site import Site, logger
from hansa.kernel import HansaError
from hansa.store import Tx

REQUEST_TRIES = 3
"""How often a member's request is tried to be brought to another before who asked is told."""

BACK_OFF_S = (1, 2, 5, 15, 60, 300)
GIVEN_UP = timedelta(days=1)
LEASE = timedelta(seconds=60)
SOME = 20

_FULL = {
    ("POST", "transfers"): "FSPIOP_CALLBACK_URL_TRANSFER_POST",
    ("PUT", "transfers"): "FSPIOP_CALLBACK_URL_TRANSFER_PUT",
    ("PATCH", "transfers"): "FSPIOP_CALLBACK_URL_TRANSFER_PUT",
    ("ERROR", "transfers"): "FSPIOP_CALLBACK_URL_TRANSFER_ERROR",
    ("GET", "parties"): "FSPIOP_CALLBACK_URL_PARTIES_GET",
    ("PUT", "parties"): "FSPIOP_CALLBACK_URL_PARTIES_PUT",
    ("ERROR", "parties"): "FSPIOP_CALLBACK_URL_PARTIES_PUT_ERROR",
    ("PUT", "participants"): "FSPIOP_CALLBACK_URL_PARTICIPANT_PUT",
    ("ERROR", "participants"): "FSPIOP_CALLBACK_URL_PARTICIPANT_PUT_ERROR",
}
"""Endpoints that name the whole address, by method and resource."""

_SUB = {
    "FSPIOP_CALLBACK_URL_PARTIES_GET": "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_GET",
    "FSPIOP_CALLBACK_URL_PARTIES_PUT": "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_PUT",
    "FSPIOP_CALLBACK_URL_PARTIES_PUT_ERROR": "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_PUT_ERROR",
    "FSPIOP_CALLBACK_URL_PARTICIPANT_PUT": "FSPIOP_CALLBACK_URL_PARTICIPANT_SUB_ID_PUT",
    "FSPIOP_CALLBACK_URL_PARTICIPANT_PUT_ERROR": "FSPIOP_CALLBACK_URL_PARTICIPANT_SUB_ID_PUT_ERROR",
}

_BASES = {
    "quotes": "FSPIOP_CALLBACK_URL_QUOTES",
    "transactionRequests": "FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE",
    "authorizations": "FSPIOP_CALLBACK_URL_AUTHORIZATIONS",
}
"""Endpoints that name where the path is put behind."""

_RESOURCES_OF_ERRORS = ("parties", "quotes", "transactionRequests", "authorizations", "participants")


def address(endpoints: dict[str, str], method: str, path: str) -> str | None:
    """Where a member wants this call, or None. path: as ``/parties/MSISDN/123/error``."""
    parts = path.strip("/").split("/")
    resource, names = parts[0], parts[1:]
    base = _BASES.get(resource)
    if base is not None:
        value = endpoints.get(base)
        return None if value is None else value.rstrip("/") + path
    failed = names[-1:] == ["error"]
    names = names[:-1] if failed else names
    kind = _FULL.get(("ERROR" if failed else method, resource))
    if kind is None:
        return None
    if resource == "participants" and len(names) == 1:
        kind = "FSPIOP_CALLBACK_URL_PARTICIPANT_BATCH_PUT" + ("_ERROR" if failed else "")
    if len(names) == 3:
        kind = _SUB[kind]
    value = endpoints.get(kind)
    if value is None:
        return None
    if resource == "transfers":
        words = {"transferId": names[0]} if names else {}
    elif len(names) == 1:
        words = {"requestId": names[0]}
    else:
        words = dict(zip(("partyIdType", "partyIdentifier", "partySubIdOrType"), names, strict=False))
    for word, name in words.items():
        value = value.replace("{{" + word + "}}", name)
    return value


class Caller:
    """Makes calls in threads of its own, until ``stop``."""

    def __init__(self, site: Site, *, threads: int = 4, pause_s: float = 0.5) -> None:
        self._site, self._pause_s = site, pause_s
        self._stopped = False
        self._news = 0
        self._woken = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"fspiop-calls-{n}", daemon=True) for n in range(threads)
        ]

    def __enter__(self) -> "Caller":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._woken:
            self._stopped = True
            self._woken.notify_all()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """There is a call to make."""
        with self._woken:
            self._news += 1
            self._woken.notify()

    def _run(self) -> None:
        while not self._stopped:
            seen, made = self._news, 0
            try:
                made = make_calls(self._site)
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not stop calling for good
                logger.exception("A turn of calls failed; the next one tries again.")
            with self._woken:
                if not made and self._news == seen and not self._stopped:
                    self._woken.wait(self._pause_s)


def make_calls(site: Site, *, limit: int = SOME) -> int:
    """Make calls that are due; gives how many were tried."""
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        calls = store.lease_calls(tx, now, now + LEASE, limit)
    for call in sorted(calls, key=lambda one: one.written_at):
        status, why = _make(site, call)
        with site.ctx.tx() as tx:
            _note(site, tx, call, status, why)
    return len(calls)


def _make(site: Site, call: store.Call) -> tuple[int, str]:
    with site.ctx.tx() as tx:
        endpoints = store.endpoints(tx, call.member_id)
    url = address(endpoints, call.method, call.path)
    if url is None:
        return 0, f"{call.member_id} has no endpoint for {call.method} {call.path}."
    try:
        return site.outside.send(call.method, url, call.headers, call.body), ""
    except Unreachable as error:
        return 0, str(error)


def _note(site: Site, tx: Tx, call: store.Call, status: int, why: str) -> None:
    now = site.ctx.clock.now()
    if 200 <= status < 300:
        store.delete_calls(tx, [call.call_id])
        return
    is_refused = 400 <= status < 500 and status not in (408, 425, 429)
    if call.tells is not None and (is_refused or call.attempts >= REQUEST_TRIES):
        store.delete_calls(tx, [call.call_id])
        if is_refused:
            told = error_body("3000", f"Generic client error - {call.member_id} answered {status}")
        else:
            told = error_body("1001", f"Destination communication error - {call.member_id} does not answer")
        tell_error(site, tx, call.tells, call.tells_path or call.path, told, call.headers)
        logger.info("%s %s to %s was in vain: %s", call.method, call.path, call.member_id, why or status)
        return
    if is_refused or now - call.written_at > GIVEN_UP:
        store.delete_calls(tx, [call.call_id])
        logger.warning("%s %s to %s is given up: %s", call.method, call.path, call.member_id, why or status)
        return
    wait = BACK_OFF_S[min(call.attempts - 1, len(BACK_OFF_S) - 1)]
    store.later_call(tx, call.call_id, now + timedelta(seconds=wait if call.tells is None else 0.5))


def tell_error(
    site: Site, tx: Tx, member_id: str, path: str, told: dict[str, object], like: dict[str, str]
) -> None:
    """Tell a member that what it asked for at this path went wrong; nothing where the path is no request's."""
    parts = path.strip("/").split("/")
    if parts[0] in _RESOURCES_OF_ERRORS and parts[-1] != "error":
        site.tell(tx, member_id, f"{path}/error", parts[0], told, like)
        site.wake()


class NoticeSender:
    """Brings the hub's notices to members as FSPIOP's calls (`hub.Sender`)."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def send(self, member_id: str, notices: Sequence[hub.Notice]) -> list[bool]:
        """Which of these the member took, in order."""
        from hansa.apps.fspiop.transfers import message_of

        ids = [one.payment.payment_id for one in notices if one.payment is not None]
        with self._site.ctx.tx() as tx:
            endpoints = store.endpoints(tx, member_id)
            rows = store.find_transfers(tx, ids)
        taken: list[bool] = []
        stopped: set[object] = set()
        for notice in notices:
            payment = notice.payment
            if payment is None:
                taken.append(True)  # alarms are the operator's; a member reads them in its feed
                continue
            row = rows.get(payment.payment_id)
            message = None if row is None else message_of(self._site, notice, payment, row)
            if message is None:
                taken.append(True)
                continue
            if payment.payment_id in stopped:
                taken.append(False)
                continue
            was_taken = self._bring(endpoints, *message)
            taken.append(was_taken)
            if not was_taken:
                stopped.add(payment.payment_id)
        return taken

    def _bring(
        self, endpoints: dict[str, str], method: str, path: str, headers: dict[str, str], body: bytes
    ) -> bool:
        url = address(endpoints, method, path)
        if url is None:
            return True  # it wants no such call
        try:
            status = self._site.outside.send(method, url, headers, body)
        except Unreachable as error:
            logger.info("%s %s: %s", method, path, error)
            return False
        return status < 500 and status not in (408, 425, 429)


def party_path(resource: str, names: Sequence[str], *, failed: bool = False) -> str:
    """The path of a party or a participant, as it came."""
    return "/".join(("", resource, *names)) + ("/error" if failed else "")


def check_words(names: Sequence[str]) -> None:
    """Names in a path that may be put into an address. Errors: Refused."""
    for name in names:
        plain = unquote(name)
        if (
            not plain
            or len(plain) > 128
            or any(sign in plain for sign in "/?#\\{}\0")
            or plain in (".", "..")
        ):
            raise Refused("3101", "an identifier in the path has signs that it cannot have")


__all__ = ["Caller", "NoticeSender", "address", "check_words", "make_calls", "party_path", "tell_error"]
