"""Atlas: the places of the league.

In flow a city's network, from a folder in Hansa's own format (city.toml, stops.csv, lines.csv) or from a GTFS feed,
read whole and checked to the last field before anything of it is kept. Out flow cities, stops, lines, the shortest
metres between any two stops, and a drawing of the network. Read often, changed seldom, version by version.
"""

from hansa.atlas.actions import (
    get_city,
    get_network,
    import_city,
    import_city_folder,
    import_gtfs,
    list_cities,
    list_lines,
    list_stops,
)
from hansa.atlas.cityfile import cities_home, city_folder, read_city, read_city_facts
from hansa.atlas.diagram import Picture, PictureLine, PictureStop, picture
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
    great_circle_m,
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
    "Picture",
    "PictureLine",
    "PictureStop",
    "Stop",
    "UnknownCity",
    "UnknownStop",
    "Way",
    "cities_home",
    "city_folder",
    "get_city",
    "get_network",
    "great_circle_m",
    "gtfs_zip",
    "import_city",
    "import_city_folder",
    "import_gtfs",
    "list_cities",
    "list_lines",
    "list_stops",
    "network_of",
    "picture",
    "read_city",
    "read_city_facts",
    "read_gtfs",
]
