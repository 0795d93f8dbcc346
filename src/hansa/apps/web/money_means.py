"""What people's money needs from outside: the way to their banks, and what finds a proved contact."""

import logging

from hansa.apps.bank.people_rails import rails_at
from hansa.apps.personal_means import means_of
from hansa.apps.web.site import Site
from hansa.identity import Sealer
from hansa.kernel import HansaError
from hansa.wallets.routes import Outside

logger = logging.getLogger("hansa.wallets")


def outside_of(site: Site) -> Outside:
    """The rails of this site, and its sealer; without the secrets for that, people are found by their codes alone."""
    return Outside(rails_at(site.home, demo=site.demo), _sealer(site))


def _sealer(site: Site) -> Sealer | None:
    try:
        return means_of(site.home, demo=site.demo).sealer
    except HansaError as missing:
        logger.warning("%s: %s", missing.code, missing.detail)
        return None
