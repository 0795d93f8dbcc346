"""What tests of attacks share: the application, as it answers somebody who sits elsewhere."""

from web.conftest import client, home, league, stranger

__all__ = ["client", "home", "league", "stranger"]
