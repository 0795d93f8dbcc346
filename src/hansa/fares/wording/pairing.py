"""How taps became a journey, in plain English, Chinese and French: the notes of pairing, which move no money."""

from collections.abc import Callable

from hansa.fares.wording.pairing_fr import WORDS as _FR
from hansa.fares.wording.said import Facts, Said

_ACTIONS_ZH = {"entry": "进站", "exit": "出站", "board": "上车"}


def _length(seconds: int) -> str:
    """``"45 s"``, ``"3 min"``, ``"2 h 5 min"``; rounded down."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part
    )


def _length_zh(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} 秒"
    hours, minutes = divmod(seconds // 60, 60)
    return " ".join(
        part for part in (f"{hours} 小时" if hours else "", f"{minutes} 分钟" if minutes else "") if part
    )


def _seconds(facts: Facts, key: str) -> str:
    return _length(int(facts[key]))


def _seconds_zh(facts: Facts, key: str) -> str:
    return _length_zh(int(facts[key]))


def _no_exit(said: Said) -> str:
    facts = said.facts
    match facts["why"]:
        case "entered_again":
            what = f"{_seconds(facts, 'seconds')} later the rider entered again, at {facts['other']}"
        case "too_late":
            what = (
                f"the next exit came {_seconds(facts, 'seconds')} later, and a journey lasts "
                f"{_seconds(facts, 'most_seconds')} at most"
            )
        case "boarded_again":
            what = f"{_seconds(facts, 'seconds')} later the rider boarded again without tapping off"
        case _:
            what = f"none came within {_seconds(facts, 'most_seconds')}"
    return f"No exit tap for the entry at {facts['place']}: {what}"


def _no_exit_zh(said: Said) -> str:
    facts = said.facts
    match facts["why"]:
        case "entered_again":
            what = f"{_seconds_zh(facts, 'seconds')}后又在 {facts['other']} 进站"
        case "too_late":
            what = (
                f"下一次出站在{_seconds_zh(facts, 'seconds')}后，而一次行程最长为"
                f"{_seconds_zh(facts, 'most_seconds')}"
            )
        case "boarded_again":
            what = f"{_seconds_zh(facts, 'seconds')}后再次上车，下车时未刷卡"
        case _:
            what = f"{_seconds_zh(facts, 'most_seconds')}内没有记录"
    return f"在 {facts['place']} 进站后缺出站记录：{what}"


def _no_entry(said: Said) -> str:
    facts = said.facts
    if facts["why"] == "too_late":
        what = (
            f"the entry before it was {_seconds(facts, 'seconds')} earlier, and a journey lasts "
            f"{_seconds(facts, 'most_seconds')} at most"
        )
    else:
        what = "no entry before it is without an exit"
    return f"No entry tap for the exit at {facts['place']}: {what}"


def _no_entry_zh(said: Said) -> str:
    facts = said.facts
    if facts["why"] == "too_late":
        what = f"前一次进站早了{_seconds_zh(facts, 'seconds')}，而一次行程最长为{_seconds_zh(facts, 'most_seconds')}"
    else:
        what = "此前没有待配对的进站"
    return f"在 {facts['place']} 出站，缺进站记录：{what}"


def _across_tokens(_said: Said) -> str:
    return "Entry and exit were made with different phones or tokens of this account; they are one journey"


def _across_tokens_zh(_said: Said) -> str:
    return "进站和出站使用了本账户的不同手机或乘车凭证，按一次行程计"


def _double(said: Said) -> str:
    facts = said.facts
    times = int(facts["times"])
    return (
        f"{times} taps at {facts['place']} within {_seconds(facts, 'seconds')} count once; the first stands"
    )


def _double_zh(said: Said) -> str:
    facts = said.facts
    return f"在 {facts['place']} 于{_seconds_zh(facts, 'seconds')}内刷卡 {facts['times']} 次，按第一次计"


def _vehicle_change(said: Said) -> str:
    facts = said.facts
    after = _seconds(facts, "seconds")
    return f"Line {facts['line']} was boarded again {after} later, on another vehicle: the same ride"


def _vehicle_change_zh(said: Said) -> str:
    facts = said.facts
    return f"{_seconds_zh(facts, 'seconds')}后换乘同一线路 {facts['line']} 的另一辆车，按同一次乘车计"


def _reentry(said: Said) -> str:
    facts = said.facts
    return f"Left at {facts['place']} and came back in there {_seconds(facts, 'seconds')} later: the journey goes on"


def _reentry_zh(said: Said) -> str:
    facts = said.facts
    return f"在 {facts['place']} 出站，{_seconds_zh(facts, 'seconds')}后又在同站进站：行程继续"


def _stayed(said: Said) -> str:
    facts = said.facts
    return (
        f"Left where the journey began, at {facts['place']}, after {_seconds(facts, 'seconds')}; up to "
        f"{_seconds(facts, 'most_seconds')} it would count as not travelled"
    )


def _stayed_zh(said: Said) -> str:
    facts = said.facts
    return (
        f"{_seconds_zh(facts, 'seconds')}后在进站的 {facts['place']} 出站；"
        f"{_seconds_zh(facts, 'most_seconds')}以内才算未乘车"
    )


def _interchange(said: Said) -> str:
    return f"Tapped at the interchange {said.facts['place']}, which proves the way; the journey goes on"


def _interchange_zh(said: Said) -> str:
    return f"在 {said.facts['place']} 换乘处刷卡，证明所走路线；行程继续"


def _walked(said: Said) -> str:
    facts = said.facts
    return (
        f"Walked from {facts['from']} to {facts['to']} in {_seconds(facts, 'seconds')}, within the "
        f"{_seconds(facts, 'most_seconds')} for changing there"
    )


def _walked_zh(said: Said) -> str:
    facts = said.facts
    return (
        f"从 {facts['from']} 步行到 {facts['to']} 用了{_seconds_zh(facts, 'seconds')}，在站外换乘时限"
        f"{_seconds_zh(facts, 'most_seconds')}之内"
    )


def _clock(said: Said) -> str:
    facts = said.facts
    by = int(facts["by_seconds"])
    return (
        f"The clock of gate {facts['gate']} was {_length(abs(by))} {'behind' if by > 0 else 'ahead'} at this "
        f"{facts['side']}; the time is corrected by {_WHY[str(facts['why'])]}"
    )


_WHY = {
    "sequence": "the gate's taps before and after it",
    "code": "the minute in the phone's code, between the gate's taps before and after it",
    "received": "the time at which we received it",
}
_WHY_ZH = {
    "sequence": "该闸机前后的刷卡顺序",
    "code": "手机乘车码中的时间（并在该闸机前后刷卡之间）",
    "received": "我们收到记录的时间",
}


def _clock_zh(said: Said) -> str:
    facts = said.facts
    by = int(facts["by_seconds"])
    return (
        f"本次{_ACTIONS_ZH[str(facts['side'])]}时闸机 {facts['gate']} 的时钟{'慢' if by > 0 else '快'}了"
        f"{_length_zh(abs(by))}；时间按{_WHY_ZH[str(facts['why'])]}更正"
    )


def _late(said: Said) -> str:
    facts = said.facts
    return f"The {facts['side']} tap at {facts['place']} reached us {_seconds(facts, 'seconds')} after it was made"


def _late_zh(said: Said) -> str:
    facts = said.facts
    return f"在 {facts['place']} 的{_ACTIONS_ZH[str(facts['side'])]}记录在刷卡{_seconds_zh(facts, 'seconds')}后才送达"


def _stated(said: Said) -> str:
    facts = said.facts
    what = "began" if facts["end"] == "entry" else "ended"
    who = "The operator" if facts["by"] == "operator" else "The rider"
    return f"{who} states that the journey {what} at {facts['place']}: {facts['reason']}"


def _stated_zh(said: Said) -> str:
    facts = said.facts
    who = "运营方" if facts["by"] == "operator" else "乘客"
    return (
        f"{who}说明行程在 {facts['place']} {'开始' if facts['end'] == 'entry' else '结束'}：{facts['reason']}"
    )


def _stated_unused(said: Said) -> str:
    return f"A tap came after all, so what was stated ({said.facts['place']}) no longer counts"


def _stated_unused_zh(said: Said) -> str:
    return f"后来收到了刷卡记录，此前说明的站点（{said.facts['place']}）不再采用"


_EN: dict[str, Callable[[Said], str]] = {
    "pairing.no_exit": _no_exit,
    "pairing.no_entry": _no_entry,
    "pairing.across_tokens": _across_tokens,
    "pairing.double": _double,
    "pairing.vehicle_change": _vehicle_change,
    "pairing.reentry": _reentry,
    "pairing.stayed": _stayed,
    "pairing.interchange": _interchange,
    "pairing.walked": _walked,
    "pairing.clock_corrected": _clock,
    "pairing.late_tap": _late,
    "pairing.stated_end": _stated,
    "pairing.stated_unused": _stated_unused,
}

_ZH: dict[str, Callable[[Said], str]] = {
    "pairing.no_exit": _no_exit_zh,
    "pairing.no_entry": _no_entry_zh,
    "pairing.across_tokens": _across_tokens_zh,
    "pairing.double": _double_zh,
    "pairing.vehicle_change": _vehicle_change_zh,
    "pairing.reentry": _reentry_zh,
    "pairing.stayed": _stayed_zh,
    "pairing.interchange": _interchange_zh,
    "pairing.walked": _walked_zh,
    "pairing.clock_corrected": _clock_zh,
    "pairing.late_tap": _late_zh,
    "pairing.stated_end": _stated_zh,
    "pairing.stated_unused": _stated_unused_zh,
}

PAIRING = {"en": _EN, "zh": _ZH, "fr": _FR}
