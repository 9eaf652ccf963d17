"""Vertebrae as people write them: one cell names one vertebra, a list or a range along the patient's own spine."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from cohort.domain import spine
from cohort.intake.words import plain

Fault = Literal["level_unreadable", "level_sacral", "level_not_in_spine"]
Item = tuple[int, int]
"""First and last level code; equal for one vertebra."""

_LETTER: Final = {
    **dict.fromkeys(("cervical", "cerv", "hwk", "hw", "c"), "C"),
    **dict.fromkeys(("thoracic", "thor", "bwk", "bw", "th", "t", "dorsal", "d"), "T"),
    **dict.fromkeys(("lumbar", "lumb", "lwk", "lw", "l"), "L"),
    **dict.fromkeys(("sacral", "s"), "S"),
}
_REGION: Final = "(?P<region>" + "|".join(sorted(_LETTER, key=len, reverse=True)) + ")"
_ORDINAL_WORDS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth",
)  # fmt: skip
_ORDINALS: Final = {name: number for number, name in enumerate(_ORDINAL_WORDS, start=1)}
_ROMAN_WORDS: Final = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
_ROMAN: Final = {name: number for number, name in enumerate(_ROMAN_WORDS, start=1)}
_NUMBER: Final = r"(?P<number>[0-9]{1,2}|[ivx]+)"
_ONE: Final = re.compile(rf"(?:{_REGION}\.? ?)?{_NUMBER}")
_ORDINAL: Final = re.compile(
    rf"(?P<number>[0-9]{{1,2}}(?=st|nd|rd|th|\.)|{'|'.join(_ORDINALS)})(?:st|nd|rd|th|\.)? {_REGION}"
)
_NOISE: Final = re.compile(r"(?<![a-z])(?:the|of|vertebrae|vertebra|vertebral|body|bodies|levels|level|vb)(?![a-z])")
_LIST: Final = re.compile(r"[,;+&/]|(?<![a-z])(?:and|und|et)(?![a-z])")
_RANGE: Final = re.compile(r"-|(?<![a-z])(?:to|through|thru|bis)(?![a-z])")
# `L-4` is one vertebra: a dash straight after the letters joins them to their number.
_JOINED: Final = re.compile(rf"(?<![a-z]){_REGION} ?- ?(?=[0-9]|[ivx]+(?![a-z]))")


class _UnreadableError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault: Fault = fault


@lru_cache(maxsize=100_000)
def parse(text: str) -> tuple[Item, ...] | Fault:
    """The vertebrae that one cell names, before any patient's spine is known.

    Returns items (first, last) of level codes, or the check that the cell fails. An empty cell has no items.

    >>> [tuple(spine.LEVELS[code] for code in item) for item in parse("T11,12,L1-3")]
    [('T11', 'T11'), ('T12', 'T12'), ('L1', 'L3')]
    >>> parse("sacrum"), parse("L7")
    ('level_sacral', 'level_unreadable')
    """
    cleaned = " ".join(_NOISE.sub(" ", plain(text)).split())
    if cleaned in ("sacrum", "sacral", "os sacrum", "s"):
        return "level_sacral"
    cleaned = _JOINED.sub(r"\g<region> ", cleaned)
    items: list[Item] = []
    letter = ""
    try:
        for member in _LIST.split(cleaned):
            ends = [end.strip() for end in _RANGE.split(member)]
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
    found = _ONE.fullmatch(text) or _ORDINAL.fullmatch(text)
    if found is None:
        raise _UnreadableError("level_sacral" if text in ("sacrum", "sacral") else "level_unreadable")
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
