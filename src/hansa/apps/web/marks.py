"""Where the next page of a list of lines begins, as text in an address: the number of the last line shown."""

from hansa.kernel import no_such_page


def read_line(text: str, *, lines: int) -> int:
    """The line, counted from 0, that comes after the address's one; 0 for the first page.

    lines: how many the list has. Errors: InvalidInput where none comes after.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) < lines - 1):
        raise no_such_page()
    return int(text) + 1
