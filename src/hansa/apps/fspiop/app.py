"""The application: a table of routes, and what every request goes through before one of them answers.

Plain ASGI: FSPIOP has its own content types, headers and errors, and its answers are empty. Handlers work in threads.
"""

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar.types import HTTPScope, Receive, Scope, Send

from hansa import hub, trust
from hansa.apps.fspiop import admin, forwarding, settlements, signing, store, transfers, wire
from hansa.apps.fspiop.calls import Caller, NoticeSender, check_words
from hansa.apps.fspiop.errors import Refused, told_by_hub
from hansa.apps.fspiop.outside import Outside
from hansa.apps.fspiop.site import Choices, Site, logger
from hansa.kernel import HansaError
from hansa.store import Context

BODY_MAX = 1024 * 1024
NOT_TAKEN_S = 5
"""How long a transfer waits for the hub before a turn hands it in again."""

Door = Literal["fspiop", "admin", "open"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. path: as it was sent, without the query; names: what stands in the places of the route, as sent."""

    method: str
    path: str
    query: Mapping[str, str]
    query_text: str
    headers: Mapping[str, str]
    body: bytes
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """Who asks; the doors have looked at it."""
        return self.headers["fspiop-source"]

    @property
    def whole_path(self) -> str:
        """The path with its query."""
        return f"{self.path}?{self.query_text}" if self.query_text else self.path


Answer = tuple[int, Any]
Handler = Callable[[Site, Ask], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """Which handler answers a method and a path. parts: None where any name stands. resource: of FSPIOP."""

    method: str
    parts: tuple[str | None, ...]
    handler: Handler
    door: Door
    resource: str = ""
    needs_accept: bool = False


# --- FSPIOP


def _post_transfer(site: Site, ask: Ask) -> Answer:
    transfers.prepare(site, ask.headers, ask.body, _read(transfers.PREPARE, ask.body))
    return 202, None


def _put_transfer(site: Site, ask: Ask) -> Answer:
    data = _read(transfers.FULFIL, ask.body)
    transfers.fulfil(site, ask.names[0], ask.headers, ask.body, data)
    return 200, None


def _put_transfer_error(site: Site, ask: Ask) -> Answer:
    data = _read(transfers.ERROR, ask.body)
    transfers.refuse(site, ask.names[0], ask.headers, ask.body, data)
    return 200, None


def _get_transfer(site: Site, ask: Ask) -> Answer:
    transfers.ask(site, ask.headers, ask.names[0])
    return 202, None


def _get_party(site: Site, ask: Ask) -> Answer:
    forwarding.ask_party(site, ask.headers, ask.names)
    return 202, None


def _put_party(site: Site, ask: Ask) -> Answer:
    _read(forwarding.PARTY, ask.body)
    forwarding.answer(site, "parties", ask.headers, ask.path, ask.body)
    return 200, None


def _put_error(resource: str) -> Handler:
    def put_error(site: Site, ask: Ask) -> Answer:
        _read(forwarding.ANY_ERROR, ask.body)
        forwarding.answer(site, resource, ask.headers, ask.path, ask.body)
        return 200, None

    return put_error


def _post_quote(site: Site, ask: Ask) -> Answer:
    data = _read(forwarding.QUOTE, ask.body)
    wire.check_id(data.quote_id, "quoteId")
    wire.check_id(data.transaction_id, "transactionId")
    wire.read_amount_text(data.amount.amount)
    to_member = ask.headers.get("fspiop-destination") or data.payee.party_id_info.fsp_id
    forwarding.ask(site, "quotes", data.quote_id, ask.headers, ask.body, to_member, data.amount.currency)
    return 202, None


def _put_quote(site: Site, ask: Ask) -> Answer:
    _read(forwarding.QUOTE_ANSWER, ask.body)
    forwarding.answer(site, "quotes", ask.headers, ask.path, ask.body)
    return 200, None


def _post_transaction_request(site: Site, ask: Ask) -> Answer:
    data = _read(forwarding.TRANSACTION_REQUEST, ask.body)
    request_id = data.transaction_request_id
    wire.check_id(request_id, "transactionRequestId")
    to_member = ask.headers.get("fspiop-destination") or data.payer.fsp_id
    forwarding.ask(site, "transactionRequests", request_id, ask.headers, ask.body, to_member)
    return 202, None


def _put_answer(resource: str, decoder: msgspec.json.Decoder[Any]) -> Handler:
    def put_answer(site: Site, ask: Ask) -> Answer:
        _read(decoder, ask.body)
        forwarding.answer(site, resource, ask.headers, ask.path, ask.body)
        return 200, None

    return put_answer


def _get_forwarded(resource: str) -> Handler:
    def get_forwarded(site: Site, ask: Ask) -> Answer:
        forwarding.ask_after(site, resource, ask.headers, ask.whole_path)
        return 202, None

    return get_forwarded


def _get_authorization(site: Site, ask: Ask) -> Answer:
    for name in ("authenticationType", "retriesLeft", "amount", "currency"):
        if name not in ask.query:
            raise Refused("3102", f"/query must have required property '{name}'")
    forwarding.ask_after(site, "authorizations", ask.headers, ask.whole_path)
    return 202, None


def _post_participant(site: Site, ask: Ask) -> Answer:
    forwarding.register(site, ask.headers, ask.names, _read(forwarding.PARTICIPANT, ask.body))
    return 202, None


def _post_participants(site: Site, ask: Ask) -> Answer:
    forwarding.register_many(site, ask.headers, _read(forwarding.PARTICIPANTS, ask.body))
    return 202, None


def _get_participant(site: Site, ask: Ask) -> Answer:
    forwarding.look_up(site, ask.headers, ask.names)
    return 202, None


def _delete_participant(site: Site, ask: Ask) -> Answer:
    forwarding.remove(site, ask.headers, ask.names)
    return 202, None


def _taken(_: Site, __: Ask) -> Answer:
    """What an oracle would answer: the directory here is the hub's own, so it is heard and that is all."""
    return 200, None


def _fspiop(
    method: str, path: str, handler: Handler, *, accept: bool = False, resource: str | None = None
) -> Route:
    parts = _parts(path)
    named = resource or next(part for part in parts if part)
    return Route(method, parts, handler, "fspiop", named, needs_accept=accept)


def _admin(method: str, path: str, work: Callable[[Site, Ask], Any], status: int = 200) -> Route:
    def handler(site: Site, ask: Ask) -> Answer:
        return status, work(site, ask)

    return Route(method, _parts(path), handler, "admin")


def _parts(path: str) -> tuple[str | None, ...]:
    return tuple(None if part == "*" else part for part in path.strip("/").split("/"))


_PARTY_PLACES = ("*/*", "*/*/*")

_FSPIOP: tuple[Route, ...] = (
    _fspiop("POST", "transfers", _post_transfer, accept=True),
    _fspiop("GET", "transfers/*", _get_transfer, accept=True),
    _fspiop("PUT", "transfers/*", _put_transfer),
    _fspiop("PUT", "transfers/*/error", _put_transfer_error),
    _fspiop("POST", "quotes", _post_quote, accept=True),
    _fspiop("GET", "quotes/*", _get_forwarded("quotes"), accept=True),
    _fspiop("PUT", "quotes/*", _put_quote),
    _fspiop("PUT", "quotes/*/error", _put_error("quotes")),
    _fspiop("POST", "transactionRequests", _post_transaction_request, accept=True),
    _fspiop("GET", "transactionRequests/*", _get_forwarded("transactionRequests"), accept=True),
    _fspiop(
        "PUT",
        "transactionRequests/*",
        _put_answer("transactionRequests", forwarding.TRANSACTION_ANSWER),
    ),
    _fspiop("PUT", "transactionRequests/*/error", _put_error("transactionRequests")),
    _fspiop("GET", "authorizations/*", _get_authorization, accept=True),
    _fspiop("PUT", "authorizations/*", _put_answer("authorizations", forwarding.AUTHORIZATION_ANSWER)),
    _fspiop("PUT", "authorizations/*/error", _put_error("authorizations")),
    _fspiop("POST", "participants", _post_participants, accept=True),
    *(
        route
        for places in _PARTY_PLACES
        for route in (
            _fspiop("PUT", f"parties/{places}/error", _put_error("parties")),
            _fspiop("PUT", f"participants/{places}/error", _taken),
            _fspiop("GET", f"parties/{places}", _get_party, accept=True),
            _fspiop("PUT", f"parties/{places}", _put_party),
            _fspiop("POST", f"participants/{places}", _post_participant, accept=True),
            _fspiop("GET", f"participants/{places}", _get_participant, accept=True),
            _fspiop("PUT", f"participants/{places}", _taken),
            _fspiop("DELETE", f"participants/{places}", _delete_participant, accept=True),
        )
    ),
    _fspiop("PUT", "participants/*", _taken),
    _fspiop("PUT", "participants/*/error", _taken),
)

_ADMIN: tuple[Route, ...] = (
    _admin(
        "POST",
        "admin/participants",
        lambda site, ask: admin.add_participant(site, _read(admin.PARTICIPANT, ask.body)),
        201,
    ),
    _admin("GET", "admin/participants", lambda site, _: admin.list_participants(site)),
    _admin(
        "GET",
        "admin/participants/limits",
        lambda site, ask: admin.limits(site, None, ask.query.get("currency")),
    ),
    _admin("GET", "admin/participants/*", lambda site, ask: admin.get_participant(site, ask.names[0])),
    _admin(
        "PUT",
        "admin/participants/*",
        lambda site, ask: admin.set_participant(site, ask.names[0], _read(admin.ACTIVE, ask.body)),
    ),
    _admin(
        "POST",
        "admin/participants/*/accounts",
        lambda site, ask: admin.add_account(site, ask.names[0], _read(admin.ACCOUNT, ask.body)),
        201,
    ),
    _admin("GET", "admin/participants/*/accounts", lambda site, ask: admin.accounts(site, ask.names[0])),
    _admin(
        "PUT",
        "admin/participants/*/accounts/*",
        lambda site, ask: admin.set_account(site, ask.names[0], ask.names[1], _read(admin.ACTIVE, ask.body)),
    ),
    _admin(
        "POST",
        "admin/participants/*/accounts/*",
        lambda site, ask: admin.record_funds(site, ask.names[0], ask.names[1], _read(admin.FUNDS, ask.body)),
        202,
    ),
    _admin(
        "PUT",
        "admin/participants/*/accounts/*/transfers/*",
        lambda site, ask: admin.end_funds(
            site, ask.names[0], ask.names[1], ask.names[2], _read(admin.FUNDS_END, ask.body)
        ),
        202,
    ),
    _admin(
        "GET",
        "admin/participants/*/positions",
        lambda site, ask: admin.positions(site, ask.names[0], ask.query.get("currency")),
    ),
    _admin(
        "POST",
        "admin/participants/*/initialPositionAndLimits",
        lambda site, ask: admin.set_first_limit(site, ask.names[0], _read(admin.LIMIT, ask.body)),
        201,
    ),
    _admin(
        "GET",
        "admin/participants/*/limits",
        lambda site, ask: admin.limits(site, ask.names[0], ask.query.get("currency")),
    ),
    _admin(
        "PUT",
        "admin/participants/*/limits",
        lambda site, ask: admin.set_limit(site, ask.names[0], _read(admin.LIMIT, ask.body)),
    ),
    _admin(
        "POST",
        "admin/participants/*/endpoints",
        lambda site, ask: admin.set_endpoint(site, ask.names[0], _read(admin.ENDPOINT, ask.body)),
        201,
    ),
    _admin(
        "GET",
        "admin/participants/*/endpoints",
        lambda site, ask: admin.endpoints(site, ask.names[0], ask.query.get("type")),
    ),
    _admin(
        "POST",
        "admin/participants/*/keys",
        lambda site, ask: admin.add_key(site, ask.names[0], _read(admin.KEY, ask.body)),
        201,
    ),
    _admin("DELETE", "admin/participants/*/keys/*", lambda site, ask: admin.revoke_key(site, *ask.names)),
    _admin(
        "POST",
        "admin/settlementModels",
        lambda site, ask: admin.add_model(site, _read(admin.MODEL, ask.body)),
        201,
    ),
    _admin("GET", "admin/settlementModels", lambda site, _: admin.list_models(site)),
    _admin("GET", "admin/settlementModels/*", lambda site, ask: admin.get_model(site, ask.names[0])),
    _admin(
        "GET", "settlement/v2/settlementWindows", lambda site, ask: settlements.list_windows(site, ask.query)
    ),
    _admin(
        "GET",
        "settlement/v2/settlementWindows/*",
        lambda site, ask: settlements.get_window(site, ask.names[0]),
    ),
    _admin(
        "POST",
        "settlement/v2/settlementWindows/*",
        lambda site, ask: settlements.close_window(site, ask.names[0], _read(settlements.CLOSE, ask.body)),
    ),
    _admin(
        "GET", "settlement/v2/settlements", lambda site, ask: settlements.list_settlements(site, ask.query)
    ),
    _admin(
        "POST",
        "settlement/v2/settlements",
        lambda site, ask: settlements.settle(site, _read(settlements.SETTLE, ask.body)),
    ),
    *(
        _admin(
            "GET",
            f"settlement/v2/settlements/{places}",
            lambda site, ask: settlements.get_settlement(site, *ask.names),
        )
        for places in ("*", "*/participants/*", "*/participants/*/accounts/*")
    ),
    _admin(
        "PUT",
        "settlement/v2/settlements/*",
        lambda site, ask: settlements.move_on(site, ask.names[0], _read(settlements.STEPS, ask.body)),
    ),
    _admin(
        "PUT",
        "settlement/v2/settlements/*/participants/*",
        lambda site, ask: settlements.move_participant_on(
            site, ask.names[0], ask.names[1], _read(settlements.PARTICIPANT_STEPS, ask.body)
        ),
    ),
    _admin(
        "PUT",
        "settlement/v2/settlements/*/participants/*/accounts/*",
        lambda site, ask: settlements.move_account_on(
            site, ask.names[0], ask.names[1], ask.names[2], _read(settlements.ACCOUNT_STEP, ask.body)
        ),
    ),
)

ROUTES = (*_FSPIOP, *_ADMIN)
HEALTH = ("/health", "/admin/health", "/settlement/v2/health")


class App:
    """The facade as an ASGI application. What works behind it is started and stopped by ``running``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._started = site.ctx.clock.now()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # nothing starts or ends with the server: ``running`` does
        try:
            body = await _body(receive)
            ask, route = _asked(scope, body)
            status, told = await asyncio.to_thread(self._answer, ask, route)
        except Refused as refused:
            status, told = refused.status, refused.body()
        await _send(send, status, told)

    def _answer(self, ask: Ask, route: Route | None) -> Answer:
        try:
            if route is None:
                if ask.path in HEALTH and ask.method == "GET":
                    return 200, admin.health(self.site, self._started)
                raise Refused("3002", f"{ask.method} {ask.path}"[:100])
            if route.door == "fspiop":
                self._let_member_in(ask, route)
            else:
                self._let_operator_in(ask)
            return route.handler(self.site, ask)
        except Refused as refused:
            return refused.status, refused.body()
        except (trust.NotSignedIn, trust.NotAllowed) as error:
            return error.status, Refused("3000", error.detail or type(error).__doc__ or "").body()
        except HansaError as error:
            refused = told_by_hub(error)
            if error.status >= 500:
                logger.warning("%s: %s", error.code, error.detail)
            return refused.status, refused.body()
        except Exception:  # told without its inside, which is in the log
            logger.exception("%s %s failed.", ask.method, ask.path)
            return 500, Refused("2001").body()

    def _let_member_in(self, ask: Ask, route: Route) -> None:
        """Go on only with headers that fit, by a participant that is who it says. Errors: Refused."""
        headers = ask.headers
        if "fspiop-source" not in headers:
            raise Refused("3102", "fspiop-source is required")
        source = wire.check_name(headers["fspiop-source"], "fspiop-source")
        if headers.get("fspiop-destination") is not None:
            wire.check_name(headers["fspiop-destination"], "fspiop-destination")
        if "date" not in headers:
            raise Refused("3102", "date is required")
        if route.needs_accept:
            wire.check_accept(headers.get("accept"), route.resource)
        wire.check_content_type(headers.get("content-type"), route.resource)
        check_words(ask.names)
        with self.site.ctx.tx() as tx:
            found = store.list_members(tx, source)
            keys = store.list_keys(tx, source)
        if not found or source == wire.HUB:
            raise Refused("3100", "invalid fspiop-source, it is no participant here")
        if not found[0].is_active:
            raise Refused("3100", "fspiop-source takes no part now")
        self._check_speaker(ask, source, keys)

    def _check_speaker(self, ask: Ask, source: str, keys: list[str]) -> None:
        """A signature is looked at wherever we know a key; else a member's key of the interface says who speaks."""
        signature = ask.headers.get("fspiop-signature")
        if keys and signature is not None:
            signing.verify(
                [signing.read_public(one) for one in keys],
                signature,
                method=ask.method,
                path=ask.path,
                headers=ask.headers,
                body=ask.body,
            )
            return
        if self.site.choices.trusted_network:
            if keys and ask.method != "GET":
                raise Refused("3105", "FSPIOP-Signature is missing, and this participant has a key")
            return
        caller = self._caller(ask)
        caller.require("hub:pay")
        if caller.member_id != source:
            raise Refused("3100", "fspiop-source is not whose key this is", status=403)

    def _let_operator_in(self, ask: Ask) -> None:
        if not self.site.choices.trusted_network:
            self._caller(ask).require_league("hub:write" if ask.method != "GET" else "hub:read")

    def _caller(self, ask: Ask) -> trust.Caller:
        kind, _, secret = ask.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            return trust.ANONYMOUS
        with self.site.ctx.tx() as tx:
            return trust.caller_of_key(tx, secret.strip())


@contextmanager
def running(ctx: Context, keys: Path, choices: Choices, *, turns: bool = True) -> Generator[App]:
    """The facade with its threads: calls to members, notices of the hub, and turns that end what was left.

    keys: the folder of the hub's private key. turns: whether time is looked at here; without, the worker does.
    """
    outside = Outside(private=choices.private_calls)
    site = Site(
        ctx=ctx,
        key=signing.hub_key(keys),
        choices=choices,
        outside=outside,
        intake=hub.Intake(ctx),
        pool=ThreadPoolExecutor(8, thread_name_prefix="fspiop"),
    )
    admin.open_desk(site)
    caller = Caller(site)
    courier = hub.Courier(ctx, NoticeSender(site), threads=4, pause_s=0.2, gather_s=0.005)
    site.wake, site.wake_notices = caller.wake, courier.wake
    stopped = threading.Event()
    turning = threading.Thread(target=_turns, args=(site, stopped), name="fspiop-turns", daemon=True)
    with caller, courier:
        if turns:
            turning.start()
        try:
            yield App(site)
        finally:
            stopped.set()
            if turns:
                turning.join()
            site.intake.stop()
            site.pool.shutdown()
    outside.close()


def turn(site: Site) -> int:
    """One turn: give back what is out of time, hand in what the hub has not answered, release what is due."""
    done = hub.expire(site.ctx)
    if done:
        site.wake_notices()
    before = site.ctx.clock.now() - timedelta(seconds=NOT_TAKEN_S)
    with site.ctx.tx() as tx:
        waiting = store.list_not_taken(tx, before)
    for row in waiting:
        transfers.take(site, row)
    return done + len(waiting)


def _turns(site: Site, stopped: threading.Event) -> None:
    begun = False
    while not stopped.is_set():
        try:
            if not begun:
                hub.finish(site.ctx)
                settlements.release_due(site)
                begun = True
            turn(site)
        except HansaError as error:
            logger.warning("%s: %s", error.code, error.detail)
        except Exception:  # a fault of ours must not end the turns for good
            logger.exception("A turn failed; the next one tries again.")
        stopped.wait(0.5)


# --- ASGI


def _asked(scope: HTTPScope, body: bytes) -> tuple[Ask, Route | None]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    query_text = scope["query_string"].decode("latin-1")
    method = scope["method"]
    parts = path.strip("/").split("/")
    if path.endswith("/"):
        parts.append("")
    for route in ROUTES:
        if route.method == method and len(route.parts) == len(parts):
            names = tuple(part for part, meant in zip(parts, route.parts, strict=True) if meant is None)
            if all(meant in (None, part) for part, meant in zip(parts, route.parts, strict=True)) and all(
                names
            ):
                named = names if route.door == "fspiop" else tuple(map(unquote, names))
                return Ask(method, path, dict(parse_qsl(query_text)), query_text, headers, body, named), route
    return Ask(method, path, {}, query_text, headers, body, ()), None


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("3000", "the request ended early")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_MAX:
            raise Refused("3104", f"at most {BODY_MAX} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, status: int, told: Any) -> None:
    body = b"" if told is None else wire.dump(told)
    headers = [(b"content-length", str(len(body)).encode())]
    if body:
        headers.append((b"content-type", b"application/json; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[misc,typeddict-item]
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _read(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """A body that fits. Errors: Refused."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        if "missing required field" in text:
            name = text.split("`")[1]
            raise Refused("3102", f"/requestBody must have required property '{name}'") from error
        place = text.rpartition(" - at ")[2].strip("`").lstrip("$.")
        code = "3100" if "length >= 1" in text else "3101"
        raise Refused(
            code, f"/requestBody/{place.replace('.', '/')} {text.partition(' - at ')[0]}"
        ) from error
    except msgspec.DecodeError as error:
        raise Refused("3101", "the body is not JSON") from error
