"""One class for each code that the interface tells; all are `HansaError`s of the kind of their status."""

from hansa_client.made.errors import *  # noqa: F403 - made by tools/make_client.py, with an __all__ of its own
