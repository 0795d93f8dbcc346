"""Hansa's HTTP interface for Python: typed operations, retries that do nothing twice, pages, errors, webhooks."""

from hansa_client.client import Hansa
from hansa_client.core import (
    Conflict,
    Failed,
    HansaError,
    Invalid,
    NotAllowed,
    NotFound,
    NotSignedIn,
    TooManyRequests,
    Unreached,
    Violation,
)
from hansa_client.webhooks import BadSignature, verify_webhook

__all__ = [
    "BadSignature",
    "Conflict",
    "Failed",
    "Hansa",
    "HansaError",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "TooManyRequests",
    "Unreached",
    "Violation",
    "verify_webhook",
]
