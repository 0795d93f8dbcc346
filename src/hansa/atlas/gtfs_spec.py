"""The files and fields of GTFS Schedule as data: what kind of value each field holds, and what it must refer to.

Source: GTFS Schedule reference (https://gtfs.org/documentation/schedule/reference, revision of June 2026), file by
file. Conditions between fields, rows and files, which a table cannot say, are in ``gtfs_rules``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

Presence = Literal["required", "recommended", "optional"]
Kind = Literal[
    "id", "text", "url", "email", "phone", "language", "timezone", "color", "date", "time", "localtime", "latitude",
    "longitude", "enum", "natural", "positive", "integer", "count", "float", "length", "amount", "price", "currency",
]  # fmt: skip


class Field(NamedTuple):
    """A field. refs: ``file.field`` it may refer to, of which one must have the value. options: of an enum.

    loose: an enum of which another value is only warned of, since nothing here is decided by it.
    """

    name: str
    kind: Kind
    presence: Presence
    refs: tuple[str, ...]
    options: tuple[str, ...]
    loose: bool


class File(NamedTuple):
    """A file. key: the fields that together may not repeat; empty where one row is all there may be.

    big: it may have millions of rows, and is read by a reader of its own.
    """

    name: str
    presence: Presence
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    big: bool


# A file and its presence; its key; then a line for each field: name, kind, and any of required, recommended, loose,
# ->file.field, and the values of an enum.
_FILES = """
file agency.txt required
key agency_id
agency_id id
agency_name text required
agency_url url required
agency_timezone timezone required
agency_lang language
agency_phone phone
agency_fare_url url
agency_email email
cemv_support enum loose 0 1 2

file stops.txt required
key stop_id
stop_id id required
stop_code text
stop_name text
tts_stop_name text
stop_desc text
stop_lat latitude
stop_lon longitude
zone_id id
stop_url url
location_type enum 0 1 2 3 4
parent_station id
stop_timezone timezone
wheelchair_boarding enum loose 0 1 2
level_id id ->levels.level_id
platform_code text
stop_access enum loose 0 1

file routes.txt required
key route_id
route_id id required
agency_id id ->agency.agency_id
route_short_name text
route_long_name text
route_desc text
route_type integer required
route_url url
route_color color
route_text_color color
route_sort_order natural
continuous_pickup enum loose 0 1 2 3
continuous_drop_off enum loose 0 1 2 3
network_id id
cemv_support enum loose 0 1 2

file calendar.txt optional
key service_id
service_id id required
monday enum required 0 1
tuesday enum required 0 1
wednesday enum required 0 1
thursday enum required 0 1
friday enum required 0 1
saturday enum required 0 1
sunday enum required 0 1
start_date date required
end_date date required

file calendar_dates.txt optional
key service_id date
service_id id required
date date required
exception_type enum required 1 2

file shapes.txt optional big
key shape_id shape_pt_sequence
shape_id id required
shape_pt_lat latitude required
shape_pt_lon longitude required
shape_pt_sequence natural required
shape_dist_traveled length

file trips.txt required
key trip_id
route_id id required ->routes.route_id
service_id id required ->calendar.service_id ->calendar_dates.service_id
trip_id id required
trip_headsign text
trip_short_name text
direction_id enum 0 1
block_id id
shape_id id ->shapes.shape_id
wheelchair_accessible enum loose 0 1 2
bikes_allowed enum loose 0 1 2
cars_allowed enum loose 0 1 2
safe_duration_factor float
safe_duration_offset float

file stop_times.txt required big
key trip_id stop_sequence
trip_id id required ->trips.trip_id
arrival_time time
departure_time time
stop_id id ->stops.stop_id
location_group_id id
location_id id
stop_sequence natural required
stop_headsign text
start_pickup_drop_off_window time
end_pickup_drop_off_window time
pickup_type enum loose 0 1 2 3
drop_off_type enum loose 0 1 2 3
continuous_pickup enum loose 0 1 2 3
continuous_drop_off enum loose 0 1 2 3
shape_dist_traveled length
timepoint enum loose 0 1
pickup_booking_rule_id id
drop_off_booking_rule_id id

file fare_attributes.txt optional
key fare_id
fare_id id required
price price required
currency_type currency required
payment_method enum required 0 1
transfers enum required 0 1 2
agency_id id ->agency.agency_id
transfer_duration natural

file fare_rules.txt optional
key fare_id route_id origin_id destination_id contains_id
fare_id id required ->fare_attributes.fare_id
route_id id ->routes.route_id
origin_id id ->stops.zone_id
destination_id id ->stops.zone_id
contains_id id ->stops.zone_id

file networks.txt optional
key network_id
network_id id required
network_name text

file route_networks.txt optional
key route_id
network_id id required ->networks.network_id
route_id id required ->routes.route_id

file areas.txt optional
key area_id
area_id id required
area_name text

file stop_areas.txt optional
key area_id stop_id
area_id id required ->areas.area_id
stop_id id required ->stops.stop_id

file timeframes.txt optional
key timeframe_group_id start_time end_time service_id
timeframe_group_id id required
start_time localtime
end_time localtime
service_id id required ->calendar.service_id ->calendar_dates.service_id

file rider_categories.txt optional
key rider_category_id
rider_category_id id required
rider_category_name text required
is_default_fare_category enum 0 1
eligibility_url url

file fare_media.txt optional
key fare_media_id
fare_media_id id required
fare_media_name text
fare_media_type enum required 0 1 2 3 4

file fare_products.txt optional
key fare_product_id rider_category_id fare_media_id
fare_product_id id required
fare_product_name text
rider_category_id id ->rider_categories.rider_category_id
fare_media_id id ->fare_media.fare_media_id
amount amount required
currency currency required

file fare_leg_rules.txt optional
key network_id from_area_id to_area_id from_timeframe_group_id to_timeframe_group_id fare_product_id
leg_group_id id
network_id id ->networks.network_id ->routes.network_id
from_area_id id ->areas.area_id
to_area_id id ->areas.area_id
from_timeframe_group_id id ->timeframes.timeframe_group_id
to_timeframe_group_id id ->timeframes.timeframe_group_id
fare_product_id id required ->fare_products.fare_product_id
rule_priority natural
transfer_only enum 0 1

file fare_leg_join_rules.txt optional
key from_network_id to_network_id from_stop_id to_stop_id
from_network_id id ->networks.network_id ->routes.network_id
to_network_id id ->networks.network_id ->routes.network_id
from_stop_id id ->stops.stop_id
to_stop_id id ->stops.stop_id

file fare_transfer_rules.txt optional
key from_leg_group_id to_leg_group_id fare_product_id transfer_count duration_limit
from_leg_group_id id ->fare_leg_rules.leg_group_id
to_leg_group_id id ->fare_leg_rules.leg_group_id
transfer_count count
duration_limit positive
duration_limit_type enum 0 1 2 3
fare_transfer_type enum required 0 1 2
fare_product_id id ->fare_products.fare_product_id

file frequencies.txt optional
key trip_id start_time
trip_id id required ->trips.trip_id
start_time time required
end_time time required
headway_secs positive required
exact_times enum loose 0 1

file transfers.txt optional
key from_stop_id to_stop_id from_trip_id to_trip_id from_route_id to_route_id
from_stop_id id ->stops.stop_id
to_stop_id id ->stops.stop_id
from_route_id id ->routes.route_id
to_route_id id ->routes.route_id
from_trip_id id ->trips.trip_id
to_trip_id id ->trips.trip_id
transfer_type enum loose 0 1 2 3 4 5
min_transfer_time natural

file levels.txt optional
key level_id
level_id id required
level_index float required
level_name text

file pathways.txt optional
key pathway_id
pathway_id id required
from_stop_id id required ->stops.stop_id
to_stop_id id required ->stops.stop_id
pathway_mode enum required loose 1 2 3 4 5 6 7
is_bidirectional enum required loose 0 1
length length
traversal_time positive
stair_count integer
max_slope float
min_width length
signposted_as text
reversed_signposted_as text

file location_groups.txt optional
key location_group_id
location_group_id id required
location_group_name text

file location_group_stops.txt optional
key location_group_id stop_id
location_group_id id required ->location_groups.location_group_id
stop_id id required ->stops.stop_id

file booking_rules.txt optional
key booking_rule_id
booking_rule_id id required
booking_type enum required loose 0 1 2
prior_notice_duration_min integer
prior_notice_duration_max integer
prior_notice_last_day integer
prior_notice_last_time time
prior_notice_start_day integer
prior_notice_start_time time
prior_notice_service_id id ->calendar.service_id ->calendar_dates.service_id
message text
pickup_message text
drop_off_message text
phone_number phone
info_url url
booking_url url

file translations.txt optional
key table_name field_name language record_id record_sub_id field_value
table_name text required
field_name text required
language language required
translation text required
record_id id
record_sub_id id
field_value text

file feed_info.txt recommended
feed_publisher_name text required
feed_publisher_url url required
feed_lang language required
default_lang language
feed_start_date date recommended
feed_end_date date recommended
feed_version text recommended
feed_contact_email email
feed_contact_url url

file attributions.txt optional
key attribution_id
attribution_id id
agency_id id ->agency.agency_id
route_id id ->routes.route_id
trip_id id ->trips.trip_id
organization_name text required
is_producer enum loose 0 1
is_operator enum loose 0 1
is_authority enum loose 0 1
attribution_url url
attribution_email email
attribution_phone phone
"""


def _read(text: str) -> Mapping[str, File]:
    files: dict[str, File] = {}
    for block in text.strip().split("\n\n"):
        first, *rest = block.splitlines()
        _, name, presence, *more = first.split()
        key = tuple(rest.pop(0).split()[1:]) if rest[0].startswith("key ") else ()
        fields = {field.name: field for field in map(_field, rest)}
        files[name] = File(name, cast("Presence", presence), key, MappingProxyType(fields), "big" in more)
    return MappingProxyType(files)


def _field(line: str) -> Field:
    name, kind, *more = line.split()
    presence: Presence = "optional"
    if "required" in more:
        presence = "required"
    elif "recommended" in more:
        presence = "recommended"
    refs = tuple(word[2:] for word in more if word.startswith("->"))
    options = tuple(word for word in more if word.isdigit())
    return Field(name, cast("Kind", kind), presence, refs, options, "loose" in more)


FILES: Mapping[str, File] = _read(_FILES)
"""Every file of GTFS Schedule that is a table, by name, in an order in which what is referred to comes first."""

EXPERIMENTAL: Mapping[str, str] = MappingProxyType({"fare_leg_rules.txt": "transfer_only"})
"""Fields outside the reference that decide fares here because feeds do not make sense without them.

``transfer_only`` is a proposed extension that the Massachusetts Bay Transportation Authority publishes: a rule with 1
may be considered only for a leg that a transfer rule leads to.
"""
