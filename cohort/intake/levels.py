"""Vertebrae as people write them: one cell names one vertebra, a list or a range along the patient's own spine."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from cohort.domain import spine
from cohort.domain.written import bare
from cohort.intake.words import not_recorded

Fault = Literal["level_unreadable", "level_sacral", "level_not_in_spine"]
Item = tuple[int, int]
"""First and last level code; equal for one vertebra."""

_NAMES: Final = {
    "C": "c cervical cervicale cervicales cerv hwk hw halswirbel halswirbelkorper",
    "T": "t th d thoracic thor thoracique thoraciques toracica toracicas toracico dorsal dorsale dorsales bwk bw "
    "brustwirbel brustwirbelkorper",
    "L": "l lumbar lumb lumbal lombaire lombaires lumbares lwk lw lendenwirbel lendenwirbelkorper",
    "S": "s sacral",
}
_LETTER: Final = {name: letter for letter, names in _NAMES.items() for name in names.split()}
_SACRUM: Final = ("sacrum", "sacral", "os sacrum", "s", "kreuzbein", "sacro", "骶骨")
_REGION: Final = "(?P<region>" + "|".join(sorted(_LETTER, key=len, reverse=True)) + ")"
_ORDINAL_WORDS: Final = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth",
    "erste zweite dritte vierte funfte sechste siebte achte neunte zehnte elfte zwolfte dreizehnte",
    "erster zweiter dritter vierter funfter sechster siebter achter neunter zehnter elfter zwolfter dreizehnter",
    "premiere deuxieme troisieme quatrieme cinquieme sixieme septieme huitieme neuvieme dixieme onzieme douzieme"
    " treizieme",
    "primera segunda tercera cuarta quinta sexta septima octava novena decima undecima duodecima decimotercera",
)
_ORDINALS: Final = {name: number for names in _ORDINAL_WORDS for number, name in enumerate(names.split(), start=1)}
_ROMAN_WORDS: Final = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
_ROMAN: Final = {name: number for number, name in enumerate(_ROMAN_WORDS, start=1)}
_NUMBER: Final = r"(?P<number>[0-9]{1,2}|[ivx]{1,4})"
_ONE: Final = re.compile(rf"(?:{_REGION}\.? ?)?{_NUMBER}")
_SUFFIX: Final = "(?:st|nd|rd|th|ieme|eme|ere|er|nde|re|e|ª|º|a|o)"
# The region stands apart from the ending, or `4th` alone would be the fourth thoracic.
_ORDINAL: Final = re.compile(
    rf"(?P<number>[0-9]{{1,2}}(?={_SUFFIX} |\.)|(?:{'|'.join(_ORDINALS)})(?= ))(?:{_SUFFIX}? |\. ?){_REGION}"
)
_NOISE: Final = re.compile(
    r"(?<![a-z])(?:the|of|vertebrae|vertebra|vertebras|vertebral|vertebre|vertebres|body|bodies|levels|level|vb|corps"
    r"|cuerpo|cuerpos|de|la|niveau|niveaux|nivel|niveles|hohe|etage|wirbelkorpers?|wirbel|des|der|structure)(?![a-z])"
)
_BODY: Final = re.compile("(?<=wirbel)(?:s|koerpers?|korpers)(?![a-z])")
_LINES: Final = re.compile(r"[\r\n]+")
_BRACKETS: Final = {"[": "]", "{": "}", "(": ")"}
_LIST: Final = re.compile(r"[,;+&/]|(?<![a-z])(?:and|und|et)(?![a-z])|(?<= )[ye](?= )")
_RANGE: Final = re.compile(r"[-~]|(?<![a-z])(?:to|through|thru|bis|hasta|al|au)(?![a-z])|(?<= )a(?= )")
# `L-4` is one vertebra: a dash straight after the letters joins them to their number.
_JOINED: Final = re.compile(rf"(?<![a-z]){_REGION} ?- ?(?=[0-9]|[ivx]+(?![a-z]))")

_CHINESE_REGION: Final = "[颈頸頚胸腰骶]"
_CHINESE_LETTER: Final = {"颈": "c", "頸": "c", "頚": "c", "胸": "t", "腰": "l", "骶": "s"}
_CHINESE_NUMBERS: Final = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三")
_CHINESE_COUNT: Final = {name: str(number) for number, name in enumerate(_CHINESE_NUMBERS, start=1)}
# A numeral stands alone: 胸一二 is T1 and T2 or a slip for T12, and beside a digit 一 is more likely a dash.
_CHINESE_NUMERAL: Final = re.compile(
    "(?<![0-9一二三四五六七八九十])(?:十[一二三]?|[一二三四五六七八九])(?![0-9一二三四五六七八九十])"
)
_CHINESE_ORDINAL: Final = re.compile(f"第([0-9]{{1,2}})({_CHINESE_REGION})")
_CHINESE_NOISE: Final = re.compile("椎体|椎體|椎骨|节段|椎")
_CHINESE_MARKS: Final = str.maketrans(
    dict.fromkeys("、，；和及与與", ",") | dict.fromkeys("～〜至到", "~") | _CHINESE_LETTER
)


def _from_chinese(text: str) -> str:
    """Chinese names in Latin letters: 第4腰椎 as l4, 胸十一、十二 as t11,12.

    >>> _from_chinese("第四腰椎"), _from_chinese("胸11至腰1"), _from_chinese("l4椎体")
    ('l4', 't11~l1', 'l4')
    """
    text = _CHINESE_NUMERAL.sub(lambda m: _CHINESE_COUNT[m[0]], _CHINESE_NOISE.sub("", text))
    return _CHINESE_ORDINAL.sub(r"\2\1", text).translate(_CHINESE_MARKS)


class _UnreadableError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault: Fault = fault


@lru_cache(maxsize=100_000)
def parse(text: str) -> tuple[Item, ...] | Fault:
    """The vertebrae that one cell names, before any patient's spine is known.

    Returns items (first, last) of level codes, or the check that the cell fails; no items where nothing is recorded.

    >>> [tuple(spine.LEVELS[code] for code in item) for item in parse("T11,12,L1-3")]
    [('T11', 'T11'), ('T12', 'T12'), ('L1', 'L3')]
    >>> parse("sacrum"), parse("L7")
    ('level_sacral', 'level_unreadable')
    """
    if not_recorded(text):
        return ()
    # Each line of a cell is a member of its own.
    cleaned = _BODY.sub("", bare(_LINES.sub(";", text.strip())))
    if cleaned[:1] in _BRACKETS and cleaned[-1:] == _BRACKETS[cleaned[0]]:
        cleaned = cleaned[1:-1]  # a list as Python, JSON and PostgreSQL write it
    if not cleaned.isascii() and cleaned not in _SACRUM:
        cleaned = _from_chinese(cleaned)
    cleaned = " ".join(_NOISE.sub(" ", cleaned.replace("_", " ")).split())
    if cleaned in _SACRUM:
        return "level_sacral"
    cleaned = _JOINED.sub(r"\g<region> ", cleaned)
    items: list[Item] = []
    letter = ""
    try:
        for member in _LIST.split(cleaned):
            ends = [end.strip(" '\"") for end in _RANGE.split(member)]
            if ends == [""]:
                continue
            if len(ends) > 2:
                return "level_unreadable"
            first, letter, _ = _vertebra(ends[0], letter)
            last = first
            if len(ends) == 2:
                last, letter, said = _vertebra(ends[1], letter)
                # `T11-1` is more likely T11 to L1 than eleven vertebrae: never guessed.
                if last < first and not said:
                    return "level_unreadable"
            items.append((min(first, last), max(first, last)))
    except _UnreadableError as unreadable:
        return unreadable.fault
    return tuple(items)


def _vertebra(text: str, letter: str) -> tuple[int, str, bool]:
    """Level code of one member, the letter it leaves for the next, and whether it named the letter itself."""
    found = _ONE.fullmatch(text.removesuffix(".")) or _ORDINAL.fullmatch(text)
    if found is None:
        raise _UnreadableError("level_sacral" if text in _SACRUM else "level_unreadable")
    region, number = found["region"], found["number"]
    letter = _LETTER[region] if region else letter
    count = int(number) if number.isdigit() else _ROMAN.get(number, _ORDINALS.get(number, 0))
    if letter == "S" and 2 <= count <= 5:
        raise _UnreadableError("level_sacral")
    code = spine.CODE.get(f"{letter}{count}")
    if code is None:
        raise _UnreadableError("level_unreadable")
    return code, letter, bool(region)


@lru_cache(maxsize=100_000)
def expand(items: tuple[Item, ...], n_thoracic: int, n_lumbar: int) -> tuple[int, ...] | Fault:
    """Level codes of the items in one patient's spine, each once, in the order of the cell.

    >>> [spine.LEVELS[code] for code in expand(parse("T11-L1"), 13, 5)]
    ['T11', 'T12', 'T13', 'L1']
    >>> expand(parse("L6"), 12, 5)
    'level_not_in_spine'
    """
    codes: list[int] = []
    thoracic, lumbar = np.array([n_thoracic]), np.array([n_lumbar])
    for ends in items:
        first, last = (int(spine.position(np.array([code]), thoracic, lumbar)[0]) for code in ends)
        if first < 0 or last < 0:
            return "level_not_in_spine"
        places = np.arange(first, last + 1)
        codes.extend(int(code) for code in spine.code_at(places, thoracic, lumbar))
    return tuple(dict.fromkeys(codes))
