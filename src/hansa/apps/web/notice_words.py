"""Notices in the words of a language: for the pages that show them, and for what is sent."""

from datetime import datetime

from hansa import notifications
from hansa.apps.web.languages import LANGUAGES, Words, catalogue
from hansa.kernel import choose_language
from hansa.notifications import Notice, Said


def words_in(language: str) -> Words:
    """The words of a language, for what is sent and not shown; English where it is not served."""
    chosen = choose_language([language], LANGUAGES)
    return Words(chosen, catalogue(chosen))


def said(notice: Notice, say: Words, zone: str) -> Said | None:
    """A notice in this language, times of day in this zone; None where nobody knows its kind any more."""

    def moment(at: datetime) -> str:
        return say.moment(at, zone)

    return notifications.say_notice(notice, say, moment, say.day)
