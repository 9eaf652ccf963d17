"""The class of a drug from its written name or ATC code; one that is not known stays without a class."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from cohort.intake.words import plain
from cohort.tables.drugs import known_names

_ATC: Final = re.compile(r"[a-z][0-9]{2}[a-z]{1,2}(?:[0-9]{2})?")
# Anatomical groups of which every member belongs to one class, so that a drug off the shipped list is still placed.
_ATC_GROUPS: Final = {
    "m05b": "antiresorptive",
    "h05aa": "anabolic",
    "h02a": "corticosteroid",
    "a11cc": "supplement",
    "a12a": "supplement",
}


@cache
def _classes() -> dict[str, str]:
    names = known_names()
    return {str(name): str(drug_class) for name, drug_class in zip(names.index, names["drug_class"], strict=True)}


@lru_cache(maxsize=100_000)
def drug_class(text: str) -> str:
    """The class of one written drug, "" where it is not known or where two names disagree.

    >>> drug_class("Zoledronic acid 5 mg i.v."), drug_class("H02AB07"), drug_class("aspirin")
    ('antiresorptive', 'corticosteroid', '')
    """
    written = plain(text)
    known = _classes()
    if written in known:
        return known[written]
    if _ATC.fullmatch(written):
        return next((group for code, group in _ATC_GROUPS.items() if written.startswith(code)), "")
    # A dose or route beside the name: every known name within the text must agree.
    named = {
        group for name, group in known.items() if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", written)
    }
    return named.pop() if len(named) == 1 else ""
