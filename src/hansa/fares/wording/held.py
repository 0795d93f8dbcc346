"""Why a ride has no price, by the name of the reason, in plain English and Chinese; the figures stand in braces."""

from hansa.fares.wording.said import Facts
from hansa.fares.wording.zh_names import BANDS, CLASSES

REASONS = {
    "en": {
        "no_stop": "the tap names no stop, and the fare depends on the stops",
        "no_line": "the tap names no line, and nobody tapped out",
        "off_network": "{stop} is not on the network",
        "line_off_network": "line {line} is not on the network",
        "line_unknown": "line unknown is not on the network",
        "no_way": "no way from {origin} to {destination} over the network",
        "not_on_line": "line {line} does not call at {origin} and {destination}",
        "no_line_between": "no line leads from {origin} to {destination}",
        "no_line_at": "no line calls at {stop}",
        "no_place": "it is not known where {stop} lies",
        "no_minutes": "the fare goes by minutes, and only one tap is known",
        "no_metres": "the fare goes by metres that are given with the ride, and none are",
        "no_metres_row": "the table of metres has no row from {origin} to {destination}",
        "no_row": "the table has no row from {origin} to {destination}",
        "no_zone": "{stop} is in no fare zone",
        "outside_zones": "{origin} or {destination} is in no zone of the tariff",
        "outside_sets": "{origin} or {destination} is in no one set of zones of the tariff",
        "too_many_zones": "the tariff has no fare for {count} zones",
        "beyond_bands": "{metres:,} m is beyond the last distance band",
        "beyond_stops": "{stops:,} stops is beyond the last distance band",
        "beyond_minutes": "{minutes:,} minutes is beyond the last distance band",
        "beyond_rates": "{metres:,} m is beyond the last rate",
        "no_line_fare": "the tariff has no fare for line {line}",
        "no_line_fare_unknown": "the tariff has no fare for line unknown",
        "no_class": "the tariff knows no class {class}",
        "no_amount": "the tariff has no {band} amount for {class}",
        "no_amount_any": "the tariff has no any-time amount for {class}",
        "no_rate": "the tariff has no rate for {class}",
        "no_farthest": "the farthest of joined rides cannot be told by {measure}",
        "nothing_known": "a tap is missing and the other names no stop",
        "no_fare_from": "the tariff has no fare from {stop} to anywhere",
        "no_fare": "the tariff has no fare",
        "none_of": "{reasons}",
        "no_feed": "the fare stands in the city's feed, and none is given with the ride",
        "no_feed_fares": "the city's feed has no Fares v2 on that day",
        "feed_below_nothing": "the feed's fares of this journey come to less than nothing",
        "feed_no_fare": "the feed has no fare on line {line} at that time",
        "feed_both_ends": "the fare hangs on where one gets on and off, and the tap does not tell",
        "feed_end": "the fare hangs on where one gets off, and the tap does not tell",
        "no_tariff": "no tariff is in force on {day}",
        "no_network": "the city has no network on {day}",
        "no_rate_of_exchange": "no rate of exchange is set between {currency} and {other} for {day}",
    },
    "zh": {
        "no_stop": "刷卡记录没有站点，而票价取决于站点",
        "no_line": "刷卡记录没有线路，也没有下车记录",
        "off_network": "{stop} 不在路网中",
        "line_off_network": "{line} 线不在路网中",
        "line_unknown": "线路未知，不在路网中",
        "no_way": "路网中 {origin} 至 {destination} 不连通",
        "not_on_line": "{line} 线不停靠 {origin} 和 {destination}",
        "no_line_between": "没有线路从 {origin} 到 {destination}",
        "no_line_at": "没有线路停靠 {stop}",
        "no_place": "{stop} 的位置未知",
        "no_minutes": "票价按分钟计算，但只有一次刷卡记录",
        "no_metres": "票价按设备实测里程计算，但没有里程记录",
        "no_metres_row": "里程表中没有 {origin} 至 {destination} 一行",
        "no_row": "票价表中没有 {origin} 至 {destination} 一行",
        "no_zone": "{stop} 不在任何票区内",
        "outside_zones": "{origin} 或 {destination} 不在票价规则的任何票区内",
        "outside_sets": "{origin} 和 {destination} 不在票价规则的同一组票区内",
        "too_many_zones": "票价规则没有经过 {count} 个票区的票价",
        "beyond_bands": "{metres:,} 米超出最远的里程段",
        "beyond_stops": "{stops:,} 站超出最远的站数段",
        "beyond_minutes": "{minutes:,} 分钟超出最长的时间段",
        "beyond_rates": "{metres:,} 米超出最远的计价里程",
        "no_line_fare": "票价规则没有 {line} 线的票价",
        "no_line_fare_unknown": "线路未知，票价规则没有相应票价",
        "no_class": "票价规则没有“{class}”这一类乘客",
        "no_amount": "票价规则没有{class}{band}时段的票价",
        "no_amount_any": "票价规则没有{class}的票价",
        "no_rate": "票价规则没有{class}的费率",
        "no_farthest": "合并计价的行程无法按此计量方式（{measure}）确定最远里程",
        "nothing_known": "缺一次刷卡记录，另一次也没有站点",
        "no_fare_from": "票价规则没有从 {stop} 出发的票价",
        "no_fare": "票价规则没有这次行程的票价",
        "none_of": "各种计价方式均没有这次行程的票价",
        "no_feed": "票价在该城市的 GTFS 数据中，而此行程没有附带该数据",
        "no_feed_fares": "该城市的 GTFS 数据当日没有 Fares v2 票价",
        "feed_below_nothing": "GTFS 数据中此行程的票价合计小于零",
        "feed_no_fare": "GTFS 数据中 {line} 线在该时间没有票价",
        "feed_both_ends": "票价取决于上下车站点，而刷卡记录没有站点",
        "feed_end": "票价取决于下车站点，而刷卡记录没有站点",
        "no_tariff": "{day} 没有生效的票价规则",
        "no_network": "该城市 {day} 没有路网数据",
        "no_rate_of_exchange": "{day} 没有 {currency} 与 {other} 之间的汇率",
    },
}


def why(facts: Facts, language: str = "en") -> str:
    """The reason of a held ride in words: by its name, else as it was told."""
    known = language.split("-")[0].lower()
    words = REASONS.get(known, REASONS["en"]).get(str(facts.get("cause", "")))
    if words is None:
        return str(facts.get("why", ""))
    named = {**BANDS, **CLASSES} if known == "zh" else {}
    figures = {
        key: named.get(str(fact), fact) if key in ("band", "class") else fact for key, fact in facts.items()
    }
    return words.format_map(figures)
