"""Atlas: the places of the league."""

from hansa.atlas.cityfile import cities_home, city_folder, read_city, read_city_facts
from hansa.atlas.feed import gtfs_zip
from hansa.atlas.gtfs import read_gtfs
from hansa.atlas.model import (
    Call,
    City,
    CityFile,
    FareAttribute,
    FareRule,
    FaresV1,
    GtfsFeed,
    ImportReport,
    Line,
    Network,
    NotConnected,
    Operator,
    Stop,
    UnknownCity,
    UnknownStop,
    Way,
    network_of,
)

__all__ = [
    "Call",
    "City",
    "CityFile",
    "FareAttribute",
    "FareRule",
    "FaresV1",
    "GtfsFeed",
    "ImportReport",
    "Line",
    "Network",
    "NotConnected",
    "Operator",
    "Stop",
    "UnknownCity",
    "UnknownStop",
    "Way",
    "cities_home",
    "city_folder",
    "gtfs_zip",
    "network_of",
    "read_city",
    "read_city_facts",
    "read_gtfs",
]
