"""What a request is refused with: the codes of the FSPIOP API and what they are called.

Source: Open API for FSP Interoperability 1.1, section 7.6 (error codes).
"""

from collections.abc import Mapping
from typing import Any

from hansa import hub, trust
from hansa.kernel import HansaError

NAMES: Mapping[str, tuple[int, str]] = {
    "1001": (503, "Destination communication error"),
    "2001": (500, "Internal server error"),
    "2002": (501, "Not implemented"),
    "2003": (503, "Service currently unavailable"),
    "3000": (400, "Generic client error"),
    "3001": (406, "Unacceptable version requested"),
    "3002": (404, "Unknown URI"),
    "3003": (400, "Add Party information error"),
    "3100": (400, "Generic validation error"),
    "3101": (400, "Malformed syntax"),
    "3102": (400, "Missing mandatory element"),
    "3104": (413, "Too large payload"),
    "3105": (400, "Invalid signature"),
    "3106": (400, "Modified request"),
    "3200": (404, "Generic ID not found"),
    "3201": (404, "Destination FSP Error"),
    "3204": (404, "Party not found"),
    "3208": (404, "Transfer ID not found"),
    "3205": (404, "Quote ID not found"),
    "3300": (400, "Generic expired error"),
    "3303": (400, "Transfer expired"),
    "4001": (400, "Payer FSP insufficient liquidity"),
    "4200": (400, "Payer limit error"),
    "5000": (400, "Generic Payee error"),
}
"""Of each code of ours: the HTTP status of an answer that carries it, and its name."""

VERSIONS = ("1.0", "1.1", "2.0")
"""Of 2.0 all but the exchange of currencies: what it adds to messages for that goes through unread."""

Extensions = Mapping[str, str]


class Refused(Exception):
    """A request that is refused, by an answer or by a call back. detail: what is wrong and what to do."""

    def __init__(
        self, code: str, detail: str = "", *, extensions: Extensions | None = None, status: int | None = None
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.extensions = dict(extensions or {})
        self.status = NAMES[code][0] if status is None else status

    @property
    def description(self) -> str:
        """The name of the code, and the detail behind it."""
        name = NAMES[self.code][1]
        return f"{name} - {self.detail}" if self.detail else name

    def body(self) -> dict[str, Any]:
        """The body that tells of it."""
        return error_body(self.code, self.description, self.extensions)


def error_body(code: str, description: str, extensions: Extensions | None = None) -> dict[str, Any]:
    """An ``errorInformation`` of this code."""
    told: dict[str, Any] = {"errorCode": code, "errorDescription": description[:128]}
    if extensions:
        told["extensionList"] = {
            "extension": [{"key": key, "value": value} for key, value in extensions.items()]
        }
    return {"errorInformation": told}


def unacceptable_version(detail: str) -> Refused:
    """A version that is not served; the extensions name those that are."""
    refused = Refused("3001", detail)
    refused.extensions = {f"{number + 1}": version for number, version in enumerate(VERSIONS)}
    return refused


def told_by_hub(error: HansaError) -> Refused:
    """What a refusal of the hub is called here."""
    code = "3100"
    match error:
        case hub.PaymentDiffers():
            return Refused("3106")
        case hub.PaymentExpired():
            return Refused("3303")
        case hub.UnknownPayment():
            return Refused("3208", "Provided Transfer ID was not found on the server.")
        case hub.HubBusy():
            code = "2003"
        case hub.WrongFulfilment():
            return Refused("3100", "invalid fulfilment")
        case trust.MemberMayNot() | hub.UnknownLiquidity():
            code = "3100"
        case _ if error.status >= 500:
            code = "2001"
        case _:
            pass
    return Refused(code, error.detail or type(error).__doc__ or "")
