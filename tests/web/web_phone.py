"""A rider's phone against the interface: it signs in, connects, gets tokens and makes codes, as the wallet does."""

import base64
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from litestar.testing import TestClient

from hansa import codes, identity
from hansa.store import Context
from identity.proving import PhoneKey

Client = TestClient[Any]


@dataclass
class WebPhone:
    """A phone in the hands of whoever is signed in with this client."""

    ctx: Context
    client: Client
    key: PhoneKey = field(default_factory=PhoneKey)
    phone_id: str = ""
    tokens: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    counter: int = 0

    def sign_in(self, account: identity.Account) -> None:
        answer = self.client.post(
            "/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False
        )
        assert answer.status_code == 303, answer.text

    def proof(self, method: str, path: str, **changed: Any) -> dict[str, str]:
        """The header of a request to this path."""
        nonce = self.client.post("/v1/me/nonces").json()["nonce"]
        address = f"{self.client.base_url}{path}"
        return {"DPoP": self.key.prove(method, address, nonce, self.ctx.clock.now(), **changed)}

    def connect(self, name: str = "Anna's phone") -> httpx.Response:
        """Connect, and remember the phone's id."""
        answer = self.client.post(
            "/v1/me/phones", json={"name": name}, headers=self.proof("POST", "/v1/me/phones")
        )
        if answer.status_code == 200:
            self.phone_id = answer.json()["phone"]["phone_id"]
        return answer

    def ask(self, *, hold: Collection[str] | None = None) -> httpx.Response:
        """Ask for tokens, and keep what is given."""
        path = f"/v1/me/phones/{self.phone_id}/tokens"
        held = [one["cti"] for one in self.tokens] if hold is None else list(hold)
        answer = self.client.post(path, json={"hold": held}, headers=self.proof("POST", path))
        if answer.status_code == 200:
            given = answer.json()
            self.tokens = [one for one in self.tokens if one["cti"] not in given["drop"]] + given["tokens"]
        return answer

    def token_at(self, at: datetime) -> dict[str, Any]:
        """The token of that instant: of those that have begun, the one that ends last."""
        begun = [one for one in self.tokens if datetime.fromisoformat(one["begins_at"]) <= at]
        return max(begun, key=lambda one: one["expires_at"])

    def show(self, *, at: datetime | None = None, companion: int = 0, challenge: int | None = None) -> str:
        """The next code, of now unless another instant is given."""
        at = at or self.ctx.clock.now()
        self.counter += 1
        return codes.make_code(
            self.key.private,
            base64.b64decode(self.token_at(at)["token"]),
            made_at=at,
            counter=self.counter,
            companion=companion,
            challenge=challenge,
        )
