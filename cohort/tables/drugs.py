"""Drugs of the field: class and duration of action, kept as data in `drugs.csv`, and found in what people write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.written import bare

_ATC: Final = re.compile(r"[a-z][0-9]{2}[a-z]{1,2}(?:[0-9]{2})?")
# Anatomical groups of which every member belongs to one class, so that a drug off the shipped list is still placed.
# M05B as a whole is none: it holds bone morphogenetic proteins, burosumab and romosozumab too; nor is G03XC.
_ATC_GROUPS: Final = {
    **dict.fromkeys(("m05ba", "m05bb", "m05bx53", "h05ba"), "antiresorptive"),
    "h05aa": "anabolic",
    **dict.fromkeys(("h02a", "h02b"), "corticosteroid"),
    **dict.fromkeys(("a11cc", "a12a"), "supplement"),
    "m05bc": "other",
    # Steroids on the skin, in the nose, the eye or the lung are no systemic ones.
    **dict.fromkeys(("d07", "r01ad", "r03ba", "s01ba"), "other"),
}
_LOCAL: Final = re.compile(
    "inhal|nasal|nasen|topi[ck]|cream|creme|crema|salbe|ointment|pommade|pomada|eye ?drop|augentropfen|collyre|colirio|"
    "spray|intra-?artic|intra-?artik|吸入|软膏|乳膏|滴眼|关节腔"
)
# Calcium is a drug by itself and the salt of many others (atorvastatin calcium, 阿托伐他汀钙片).
_SALT: Final = frozenset(("calcium", "kalzium", "calcio", "钙", "钙片", "钙剂"))
_DOSE: Final = re.compile(
    r"(?<![a-z])(?:mg|g|x|d|daily|day|week|weekly|tag|taglich|jour|dia|tab|tabs|tablet|tablets|tabl|tbl|tabletten|kps|"
    r"brausetabletten|comprimes?|comprimidos?|p\.?o|oral|supplement|supplements|and|und|et|y)(?![a-z])|[片剂每日天次]"
)
_NOT_TAKEN: Final = re.compile(
    "(?<![a-z])(?:no|not|nicht|non|never|without|stopped|discontinued|kein|keine|ohne|nie|abgesetzt|pas|sans|aucun|aucune|"
    "arrete|arretee|sin|nunca|suspendido|suspendida)(?![a-z])|未|停用|停药"
)


@dataclass(frozen=True)
class Drug:
    """What a written name stands for.

    name : as `drugs.csv` lists it, "" where only the class is known. drug_class : "" where not even that is.
    action_days : days that one dose protects, NaN for a drug taken daily.
    """

    name: str = ""
    drug_class: str = ""
    action_days: float = np.nan


@cache
def drug_list() -> pd.DataFrame:
    """One row per drug: drug, atc, drug_class, action_days (days one dose protects; missing = taken daily), names,
    source.
    """
    return pd.read_csv(Path(__file__).with_name("drugs.csv"))


@cache
def known_names() -> dict[str, Drug]:
    """Every name and ATC code of the list, without case and accents, and the drug it stands for."""
    return {
        bare(written): Drug(str(row.drug), str(row.drug_class), float(str(row.action_days)))
        for row in drug_list().itertuples()
        for written in (*str(row.names).split(";"), str(row.atc))
    }


@lru_cache(maxsize=100_000)
def drug_of(text: str) -> Drug:
    """The drug that a written name or ATC code stands for, with a dose or route beside it or not.

    Of several drugs of one class only the class is told; of several classes nothing, but that a supplement taken beside
    another drug gives way to it. What is written as not taken or stopped is told nothing of.

    >>> drug_of("Zoledronic acid 5 mg i.v."), drug_of("M05BA99").drug_class, drug_of("aspirin")
    (Drug(name='zoledronate', drug_class='antiresorptive', action_days=365.0), 'antiresorptive', Drug(name='', \
drug_class='', action_days=nan))
    >>> drug_of("Fosamax + Calcium/Vit. D").name, drug_of("hydrocortisone cream").drug_class
    ('alendronate', 'other')
    """
    written = bare(text)
    known = known_names()
    if written in known:
        return known[written]
    if _ATC.fullmatch(written):
        return Drug(drug_class=next((group for code, group in _ATC_GROUPS.items() if written.startswith(code)), ""))
    names = set(_names().findall(written))
    if _NOT_TAKEN.search(written) or (names <= _SALT and _says_more(written)):
        return Drug()
    found = {known[name] for name in names}
    main = {drug for drug in found if drug.drug_class != "supplement"} or found
    classes = {drug.drug_class for drug in main}
    if len(classes) != 1:
        return Drug()
    drug_class = classes.pop()
    if drug_class == "corticosteroid" and _LOCAL.search(written):
        return Drug(drug_class="other")
    return main.pop() if len({drug.name for drug in main}) == 1 else Drug(drug_class=drug_class)


def _says_more(written: str) -> bool:
    """Whether a text holds a word besides the drugs of the list, doses and forms."""
    return any(sign.isalpha() for sign in _DOSE.sub(" ", _names().sub(" ", written)))


@cache
def _names() -> re.Pattern[str]:
    """Any known name within a text, the longest first, so that prednisolone is none of methylprednisolone."""
    names = sorted((name for name in known_names() if not _ATC.fullmatch(name)), key=len, reverse=True)
    # Chinese is written without spaces, so only Latin names need an edge.
    latin, chinese = (
        "|".join(re.escape(name) for name in names if name.isascii() == is_latin) for is_latin in (True, False)
    )
    return re.compile(f"(?<![a-z0-9])(?:{latin})(?![a-z0-9])|(?:{chinese})")
