"""One class for each code that the interface tells; all are `HansaError`s of the kind of their status."""

from hansa_client.core import Conflict as Conflict
from hansa_client.core import Failed as Failed
from hansa_client.core import HansaError as HansaError
from hansa_client.core import Invalid as Invalid
from hansa_client.core import NotAllowed as NotAllowed
from hansa_client.core import NotFound as NotFound
from hansa_client.core import NotSignedIn as NotSignedIn
from hansa_client.core import TooManyRequests as TooManyRequests
from hansa_client.core import Unreached as Unreached
from hansa_client.made.errors import *  # noqa: F403 - made by tools/make_client.py, with an __all__ of its own
