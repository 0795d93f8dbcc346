"""A fare's steps in plain Chinese."""

from collections.abc import Callable

from hansa.fares.wording.held import why
from hansa.fares.wording.said import Facts, Said, kilometres
from hansa.fares.wording.zh_names import BANDS, CLASSES

_MEASURES = {"line": "沿线里程", "straight": "直线距离", "given": "实测里程", "table": "运营方公布里程"}
_UNITS = {"stops": "站", "minutes": "分钟"}
_SINCE = {
    "next_hour": "首次刷卡后的整点",
    "first_tap": "首次刷卡",
    "last_tap": "上次刷卡",
    "exit": "上次出站",
}
_PERIODS = {"day": "当天", "week": "本周", "month": "本月"}


def _ride(said: Said) -> str:
    text = f"{said.facts['from']} 至 {said.facts['to']}"
    if "via" in said.facts:
        text += f"（经 {said.facts['via']}）"
    if "distance_m" in said.facts:
        measure = _MEASURES.get(str(said.facts.get("measure", "")), "路网里程")
        text += f"：{measure} {said.facts['distance_m']:,} 米"
    for unit, word in _UNITS.items():
        if unit in said.facts:
            text += f"：{said.facts[unit]:,} {word}"
    return text


def _distance(said: Said) -> str:
    low, high = int(said.facts["over_m"]), int(said.facts["up_to_m"])
    if unit := _UNITS.get(str(said.facts.get("unit", ""))):
        from_to = str(high) if high == low + 1 else f"{low + 1} 至 {high}"
        stretch = f"{high} {unit}以内" if low == 0 else f"{from_to} {unit}"
        return f"{_named(said)}{stretch}{_for(said.facts)}：{said.paid}"
    stretch = f"{kilometres(high)} 公里以内" if low == 0 else f"{kilometres(low)}–{kilometres(high)} 公里段"
    return f"{_named(said)}{stretch}{_for(said.facts)}：{said.paid}"


def _zones(said: Said) -> str:
    zones = str(said.facts["zones"]).replace("-", "–")
    return f"{_named(said)}{zones} 区{_for(said.facts)}：{said.paid}"


def _zone_count(said: Said) -> str:
    return f"{_named(said)}经过 {said.facts['count']} 个票区{_for(said.facts)}：{said.paid}"


def _rate(said: Said) -> str:
    base = f"起价 {said.money('base_minor')}，" if said.facts["base_minor"] else ""
    metres, unit = int(said.facts["metres"]), _UNITS.get(str(said.facts.get("unit", "")))
    length = f"{metres} {unit}" if unit else f"{kilometres(metres)} 公里"
    return f"{_named(said)}{base}{length}{_for(said.facts)}：{said.paid}"


def _line(said: Said) -> str:
    return f"{_named(said)}{said.facts['line']} 线{_for(said.facts)}：{said.paid}"


def _pair(said: Said) -> str:
    return f"{_named(said)}票价表{_for(said.facts)}：{said.paid}"


def _flat(said: Said) -> str:
    return f"{_named(said)}单一票价{_for(said.facts)}：{said.paid}"


def _override(said: Said) -> str:
    return f"{said.facts['name']}{_for(said.facts)}：{said.paid}"


def _same_stop(said: Said) -> str:
    return f"同站进出：{said.paid}"


def _class(said: Said) -> str:
    if said.facts["percent"] == 0:
        return f"{_who(said.facts)}免费：{said.paid}"
    return f"{_who(said.facts)}付 {said.facts['percent']}%：{said.paid}"


def _class_flat(said: Said) -> str:
    return f"{_who(said.facts)}票价为 {said.money('fare_minor')}：{said.paid}"


def _discount(said: Said) -> str:
    share = f"，付 {said.facts['percent']}%" if "percent" in said.facts else ""
    return f"{said.facts['name']}{share}：{said.paid}"


def _transfer(said: Said) -> str:
    facts = said.facts
    if "dearest_minor" in facts:
        price = f"只付高出 {said.money('dearest_minor')} 的部分"
    elif "most_minor" in facts:
        price = f"合计最多 {said.money('most_minor')}"
    elif "percent" not in facts:
        price = "换乘优惠"
    else:
        price = "免费" if facts["percent"] == 0 else f"付 {facts['percent']}%"
    name = f"{facts['name']}：" if "name" in facts else ""
    since = _SINCE[str(facts.get("window_from", "first_tap"))]
    return f"{name}{since}后 {facts['since_minutes']} 分钟换乘，{facts['window_minutes']} 分钟内{price}：{said.paid}"


def _join(said: Said) -> str:
    if "before_minor" in said.facts:
        return (
            f"{said.facts['name']}：{said.facts['rides']} 程合并计价，按此时段前几程为 {said.money('before_minor')}："
            f"{said.paid}"
        )
    return f"{said.facts['name']}：{said.facts['rides']} 程合并计价，已付 {said.money('paid_minor')}：{said.paid}"


def _fee(said: Said) -> str:
    return f"{said.facts['name']}：{said.paid}"


def _fee_most(said: Said) -> str:
    period = {"day": "每天", "week": "每周", "month": "每月"}[str(said.facts["period"])]
    return f"{said.facts['name']}{period}最多 {said.money('most_minor')}：{said.paid}"


def _pass(said: Said) -> str:
    share = f"，付 {said.facts['percent']}%" if said.facts["percent"] else ""
    return f"持有{said.facts['name']}{share}：{said.paid}"


def _tier(said: Said) -> str:
    facts = said.facts
    period = _PERIODS[str(facts.get("period", "month"))]
    if "rides" in facts:
        return f"{period}已乘 {facts['rides']} 次；满 {facts['from_rides']} 次后付 {facts['percent']}%：{said.paid}"
    paid, threshold = said.money("month_minor"), said.money("from_minor")
    return f"{period}已付 {paid}；满 {threshold} 后付 {facts['percent']}%：{said.paid}"


def _cap(said: Said) -> str:
    cap = f"{said.facts['label']} {said.money('cap_minor')}"
    if "beyond_minor" in said.facts:
        return f"{cap}，区外另付 {said.money('beyond_minor')}：{said.paid}"
    return f"已达上限 {cap}：{said.paid}"


def _carnet(said: Said) -> str:
    return f"按{said.facts['name']}（{said.facts['rides']} 次 {said.money('fare_minor')}）更划算：{said.paid}"


def _subsidy(said: Said) -> str:
    share = f" {said.facts['percent']}%" if "percent" in said.facts else "一部分"
    return f"由 {said.facts['payer']} 支付{share}：{said.paid}"


def _missing(facts: Facts) -> str:
    return "缺出站记录" if facts["kind"] == "no_exit" else "缺进站记录"


def _incomplete(said: Said) -> str:
    if "stop" in said.facts:
        return f"{_missing(said.facts)}，按 {said.facts['stop']} 的最高票价：{said.paid}"
    return f"{_missing(said.facts)}，按最高票价：{said.paid}"


def _habit(said: Said) -> str:
    facts = said.facts
    return (
        f"{_missing(facts)}，按惯常站点 {facts['usual']} 计价（在 {facts['stop']} 的 {facts['of']} 次乘车中有 "
        f"{facts['times']} 次）；补到记录后自动更正"
    )


def _held(said: Said) -> str:
    return f"暂不收费，待运营方处理：{why(said.facts, 'zh')}"


def _companion(said: Said) -> str:
    return f"同行人 {said.facts['number']}，按{_class_name(str(said.facts['class']))}票价"


def _named(said: Said) -> str:
    return f"{said.facts['name']}：" if said.facts.get("name") else ""


def _class_name(name: str) -> str:
    return CLASSES.get(name, name)


def _for(facts: Facts) -> str:
    words = [BANDS.get(str(facts["band"]), str(facts["band"]))] if facts.get("band") else []
    words += [_class_name(str(facts["class"]))] if facts.get("class") else []
    return f"（{'，'.join(words)}）" if words else ""


def _who(facts: Facts) -> str:
    return _class_name(str(facts["class"]))


WORDS: dict[str, Callable[[Said], str]] = {
    "ride": _ride,
    "distance": _distance,
    "zones": _zones,
    "zone_set": _zones,
    "zone_count": _zone_count,
    "rate": _rate,
    "line": _line,
    "pair": _pair,
    "flat": _flat,
    "override": _override,
    "same_stop": _same_stop,
    "class": _class,
    "class_flat": _class_flat,
    "discount": _discount,
    "transfer": _transfer,
    "join": _join,
    "fee": _fee,
    "fee_most": _fee_most,
    "pass": _pass,
    "tier": _tier,
    "cap": _cap,
    "carnet": _carnet,
    "subsidy": _subsidy,
    "companion": _companion,
    "incomplete": _incomplete,
    "habit": _habit,
    "held": _held,
}
