"""The web application of a Hansa: every room's interface, the wallet, the gate screen, the console.

Composition only: requests flow in, each is answered by a room's action or by a page made from what rooms tell.
"""

from hansa.apps.web.app import create_app
from hansa.apps.web.serve import BadAddress, PortTaken, listen, serve

__all__ = ["BadAddress", "PortTaken", "create_app", "listen", "serve"]
