"""A small town whose fares stand in its GTFS feed, every clause of Fares v2 among them, and its gates."""

from collections.abc import Mapping
from datetime import date, time
from pathlib import Path

from hansa import atlas, rides, trust
from hansa.store import Tx
from rides.riding import League

CITY = atlas.City("town", "Town", "Town", "DE", "Europe/Berlin", "EUR", time(3), "Fares from its feed.")
OPERATOR = "town-transit"

FILES: Mapping[str, str] = {
    "agency.txt": """agency_id,agency_name,agency_url,agency_timezone
t,Town Transit,https://town.example,Europe/Berlin
""",
    "stops.txt": """stop_id,stop_name,stop_lat,stop_lon
s1,Port,50.00,8.00
s2,Market,50.01,8.00
s3,Centre,50.02,8.00
s4,Mill,50.03,8.00
s5,Hill,50.04,8.00
s6,Park,50.02,8.02
s7,Lake,50.02,8.04
b1,School,50.01,8.02
b2,Church,50.01,8.04
x1,Airport,50.05,8.04
""",
    "routes.txt": """route_id,route_short_name,route_type,network_id
M,M,1,rail
T,T,0,rail
B,B,3,bus
X,X,3,express
F,F,4,
""",
    "calendar.txt": """service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date
daily,1,1,1,1,1,1,1,20260101,20271231
work,1,1,1,1,1,0,0,20260101,20271231
""",
    "trips.txt": """route_id,service_id,trip_id
M,daily,m
T,daily,t
B,daily,b
X,daily,x
F,daily,f
""",
    "stop_times.txt": """trip_id,arrival_time,departure_time,stop_id,stop_sequence
m,08:00:00,08:00:00,s1,1
m,08:02:00,08:02:00,s2,2
m,08:04:00,08:04:00,s3,3
m,08:06:00,08:06:00,s4,4
m,08:08:00,08:08:00,s5,5
t,08:00:00,08:00:00,s3,1
t,08:03:00,08:03:00,s6,2
t,08:06:00,08:06:00,s7,3
b,08:00:00,08:00:00,s2,1
b,08:05:00,08:05:00,b1,2
b,08:10:00,08:10:00,b2,3
x,08:00:00,08:00:00,b1,1
x,08:10:00,08:10:00,s5,2
x,08:20:00,08:20:00,x1,3
f,08:00:00,08:00:00,s1,1
f,08:30:00,08:30:00,x1,2
""",
    "areas.txt": "area_id,area_name\ninner,Inner\nouter,Outer\nair,Airport\n",
    "stop_areas.txt": """area_id,stop_id
inner,s1
inner,s2
inner,s3
outer,s4
outer,s5
outer,s6
outer,s7
air,x1
""",
    "timeframes.txt": """timeframe_group_id,start_time,end_time,service_id
peak,07:00:00,09:00:00,work
""",
    "rider_categories.txt": """rider_category_id,rider_category_name,is_default_fare_category
full,Full,1
half,Half,0
""",
    "fare_media.txt": "fare_media_id,fare_media_name,fare_media_type\ncash,Cash,0\ncard,Card,2\n",
    "fare_products.txt": """fare_product_id,fare_product_name,rider_category_id,fare_media_id,amount,currency
in,Inner single,full,,2.00,EUR
in,Inner single,half,,1.00,EUR
far,Long single,full,,3.00,EUR
far,Long single,half,,1.50,EUR
bus,Bus single,full,card,1.50,EUR
bus,Bus single,full,cash,2.00,EUR
bus,Bus single,half,,0.75,EUR
rush,Bus single at rush hour,,,1.80,EUR
near,Express single,,,2.50,EUR
air,Airport express,,,6.00,EUR
change,Change to the bus,,,0.30,EUR
less,Change to the railway,,,-0.50,EUR
day,Day out,,,2.20,EUR
""",
    "fare_leg_rules.txt": """leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,\
fare_product_id,rule_priority
rail,rail,,,,far,0
rail,rail,inner,inner,,in,1
bus,bus,,,,bus,0
bus,bus,,,peak,rush,1
express,express,,,,near,0
express,express,,air,,air,1
""",
    "fare_transfer_rules.txt": """from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,\
fare_transfer_type,fare_product_id
rail,bus,,3600,1,0,change
bus,rail,,3600,1,1,less
bus,bus,2,5400,1,0,
express,bus,,,,2,day
""",
}


def feed_of(folder: Path, **instead: str) -> Path:
    """The feed as files. instead: other texts by the file's name without ``.txt``; an empty one leaves it out."""
    files = {**FILES, **{f"{name}.txt": text for name, text in instead.items()}}
    for name, text in files.items():
        if text:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def town_of(folder: Path, **instead: str) -> tuple[atlas.Network, atlas.FaresV2]:
    """The network and the fares of such a feed."""
    read = atlas.read_gtfs(feed_of(folder, **instead), city=CITY, operator_id=OPERATOR)
    return atlas.network_of(read.city_file), read.fares_v2


def tariff_of(feed: atlas.FaresV2, **more: object) -> rides.Tariff:
    """The tariff by that feed, with children at half fare, paid by card."""
    options: dict[str, object] = {
        "valid_from": date(2026, 1, 1),
        "categories": {"child": "half"},
        "media": ["card"],
        **more,
    }
    return rides.tariff_from_fares_v2(feed, operator_id=OPERATOR, city=CITY, **options)  # type: ignore[arg-type]


def open_town(league: League, tx: Tx, network: atlas.Network) -> None:
    """Its members and gates: doors at the stations of M and T, a validator on each other line."""
    for member_id, role, city in (("town", "city", "town"), (OPERATOR, "operator", "town")):
        assert role in ("city", "operator")
        own = trust.MemberId(member_id)
        trust.add_members(
            tx, [trust.Member(own, member_id, role, city, trust.MemberId("town"), f"bank-{member_id}")]
        )
    records: list[trust.GateRecord] = []
    for stop_id in network.stops:
        if {line.mode for line in network.lines_at(stop_id)} & {"metro", "tram"}:
            for action in ("entry", "exit"):
                assert action in ("entry", "exit")
                gate_id = league.gates[OPERATOR, stop_id, action] = f"{stop_id}/{action}"
                records.append(
                    trust.GateRecord(
                        gate_id, trust.MemberId(OPERATOR), "town", stop_id, None, action, "metro"
                    )
                )
    for line in network.lines.values():
        if line.mode in ("bus", "ferry"):
            gate_id = league.gates[OPERATOR, line.line_id, "board"] = f"{line.line_id}/board"
            records.append(
                trust.GateRecord(
                    gate_id, trust.MemberId(OPERATOR), "town", None, line.line_id, "board", line.mode
                )
            )
    trust.add_gates(tx, records)
