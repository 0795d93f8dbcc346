"""The link to a provider of proofs over HTTP. Whatever is not a plain answer to this very question is no answer."""

import http.client
import ssl
from urllib.parse import SplitResult, urlsplit

import msgspec

from hansa.apps.proofing.wire import BYTES_MAX, LEVELS, Answered, asked
from hansa.identity import Answer, Match, NoMatch, Question, Unavailable
from hansa.kernel import InvalidInput, Problem

TIMEOUT_S = 8.0
"""For connecting and for each read; less than identity's lease, within which nobody else asks."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class HttpProvider:
    """Asks ``POST <url>/checks`` with a bearer key.

    url: https, or http on this very machine. key: what the provider knows us by. name: under which its proofs are kept.
    Errors: InvalidInput for an address that would tell names in clear.
    """

    def __init__(self, url: str, *, key: str, name: str, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self._to, self._key, self._timeout_s = _checked(url), key, timeout_s

    def check(self, question: Question) -> Answer:
        """As ProofProvider. A fault, a delay, a strange status or a strange answer are all Unavailable."""
        body = msgspec.json.encode(asked(question))
        try:
            status, said = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            return Unavailable(f"no answer: {type(error).__name__}")
        if status != 200:
            return Unavailable(f"HTTP status {status}")
        if len(said) > BYTES_MAX:
            return Unavailable("the answer is too long")
        try:
            told = msgspec.json.decode(said, type=Answered)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Unavailable("the answer cannot be read")
        if told.reference != question.reference:
            return Unavailable("the answer is to another question")
        if told.outcome == "match" and told.level is not None:
            return Match(LEVELS[told.level], said)
        return (
            NoMatch(said)
            if told.outcome == "no_match"
            else Unavailable(told.reason or "it knows nothing now")
        )

    def _post(self, body: bytes) -> tuple[int, bytes]:
        to = self._to
        host, port = to.hostname or "", to.port
        if to.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        try:
            connection.request("POST", f"{to.path.rstrip('/')}/checks", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(BYTES_MAX + 1)
        finally:
            connection.close()


class NoProvider:
    """What is asked where no provider was named: it never answers, so nothing is lost and nothing is proved."""

    name = "none"

    def check(self, question: Question) -> Answer:
        """As ProofProvider."""
        return Unavailable(f"no provider is named for {question.reference}: set HANSA_PROOFING_URL")


def _checked(url: str) -> SplitResult:
    try:
        to = urlsplit(url)
        right = to.scheme == "https" or (to.scheme == "http" and to.hostname in LOOPBACK)
        right = right and bool(to.hostname) and not to.query and not to.fragment and to.username is None
        right = right and (to.port is None or to.port > 0)
    except ValueError:
        to, right = urlsplit(""), False
    if not right:
        problem = Problem(
            "HANSA_PROOFING_URL", "names would travel in clear, or it is no address", "Give https://…"
        )
        raise InvalidInput("This cannot be a provider's address.", problems=(problem,))
    return to
