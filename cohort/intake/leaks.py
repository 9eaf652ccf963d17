"""Where cement leaked: a set of words, in which a disc named by its vertebrae is above or below the row's own level."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from cohort.domain import spine
from cohort.domain.outcomes import LEAKS
from cohort.domain.written import bare
from cohort.intake import levels
from cohort.intake.words import not_recorded

_DISCS: Final = ("disc", "disk", "disque", "disco", "bandscheibe", "椎间盘", "椎間盤")
_UPPER: Final = ("upper", "cranial", "above", "superior", "sup", "supérieur", "obere", "craneal", "上方", "上位", "上")
_LOWER: Final = ("lower", "caudal", "below", "inferior", "inf", "inférieur", "untere", "kaudal", "下方", "下位", "下")
_SYNONYMS: Final = {
    "none": "no|no leak|no leakage|nil|0|nein|kein|keine|keine leckage|kein austritt|kein zementaustritt|aucun|aucune|"
    "aucune fuite|non|absent|ninguna|ninguno|sin fuga|no fuga|无|無|无渗漏|無滲漏|没有|否",
    "disc": "disk|discal|diskal|intradiscal|intradiskal|intervertebral|disc space|disk space|intervertebral disc|"
    "into disc|intra discal|disque|intradiscale|discale|disco|intervertebral disk|bandscheibe|bandscheibenfach|"
    "zwischenwirbelraum|椎间盘|椎間盤|椎间隙|椎間隙|椎间盘内",
    "epidural": "epidural space|spinal canal|canal|intraspinal|intracanal|spinalkanal|epidurale|péridurale|épidurale|"
    "canal rachidien|canal espinal|canal medular|硬膜外|椎管内|椎管",
    "foraminal": "foramen|neuroforaminal|neural foramen|neuroforamen|neuroforamina|foraminale|椎间孔|椎間孔",
    "paravertebral": "soft tissue|paraspinal|prevertebral|perivertebral|para vertebral|weichteile|paravertébrale|"
    "paravertébral|tissus mous|partes blandas|椎旁|椎旁软组织|椎体旁",
    "venous": "vein|veins|vascular|intravascular|venous plexus|venös|vene|venen|gefäß|veineuse|veineux|veine|"
    "vasculaire|vena|venas|venosa|venoso|静脉|靜脈|椎旁静脉|静脉内|血管内",
    **{
        word: "|".join(form for disc in _DISCS for side in sides for form in (f"{disc} {side}", f"{side} {disc}"))
        + "|"
        + "|".join(f"{side}{disc}" for disc in ("椎间盘", "椎間盤") for side in sides if not side.isascii())
        for word, sides in (("disc_superior", _UPPER), ("disc_inferior", _LOWER))
    },
}
_WORDS: Final = {
    **{word.replace("_", " "): word for word in LEAKS},
    **{bare(form): word for word, forms in _SYNONYMS.items() for form in forms.split("|")},
}
_DISC: Final = re.compile(r"(?<![a-z])([a-z]+)\.? ?([0-9]{1,2}) ?[-/] ?(?:([a-z]+)\.? ?)?([0-9]{1,2})(?![0-9])")
_DISC_WORDS: Final = "|".join(sorted((form for form, word in _WORDS.items() if word == "disc"), key=len, reverse=True))
_MARK: Final = re.compile(rf"(?:(?:{_DISC_WORDS})(?: at)? ?)?@([0-9]+)@([0-9]+)(?: ?(?:{_DISC_WORDS}))?")
_NEGATIONS: Final = frozenset(("no", "not", "kein", "keine", "ohne", "without", "sans", "pas de", "sin"))
# What every leak may be called, and adds nothing to where it went.
_LEAKAGE: Final = re.compile(
    r"(?<![a-z])(?:cement|leak|leaks|leakage|extravasation|zementaustritt|austritt|zementleckage|leckage|fuites?|fugas?"
    r"|into|in|the|die|den|das)(?![a-z])|骨水泥|[渗滲]漏|外[渗滲]"
)
_CHINESE_REGION: Final = str.maketrans("颈頸頚胸腰骶", "ccctls")
_SPLIT: Final = re.compile(r"[;,+&/|、，；和及]|(?<![a-z])(?:and|und|et)(?![a-z])|(?<= )[ye](?= )")


@dataclass(frozen=True)
class Leak:
    """One written leak: words of the vocabulary, discs as pairs of level codes, and the check it fails."""

    words: frozenset[str] = frozenset()
    discs: tuple[tuple[int, int], ...] = ()
    fault: str = ""


@lru_cache(maxsize=100_000)
def read(text: str) -> Leak:
    """Read one cell; nothing recorded gives no words.

    >>> sorted(read("venous; intradiscal").words), read("L3/4").discs == ((spine.CODE["L3"], spine.CODE["L4"]),)
    (['disc', 'venous'], True)
    """
    if not_recorded(text):
        return Leak()
    # Each line of a cell is a member of its own.
    text = bare(re.sub(r"[\r\n]+", ";", text.strip())).translate(_CHINESE_REGION)
    marked = _DISC.sub(_mark, text)
    words: set[str] = set()
    discs: list[tuple[int, int]] = []
    for member in (part.replace("_", " ").strip() for part in _SPLIT.split(marked)):
        if not member:
            continue
        if disc := _MARK.fullmatch(member):
            discs.append((int(disc[1]), int(disc[2])))
        elif known := _known(" ".join(member.replace("-", " ").split())):
            words.add(known)
        else:
            return Leak(fault="word_unknown")
    if not words and not discs:
        return Leak(fault="word_unknown")
    if "none" in words and (discs or len(words) > 1):
        return Leak(fault="leak_contradicts")
    return Leak(frozenset(words), tuple(discs))


def _known(member: str) -> str:
    """The word of the vocabulary that a member stands for, "" where it stands for none."""
    if member in _WORDS:
        return _WORDS[member]
    rest = " ".join(_LEAKAGE.sub(" ", member).split())
    # `sin` alone is a side; `sin fuga` is none.
    return "none" if rest != member and rest in _NEGATIONS else _WORDS.get(rest, "")


@lru_cache(maxsize=100_000)
def at_level(leak: Leak, code: int, n_thoracic: int, n_lumbar: int) -> tuple[str, str]:
    """The set as `;`-joined words in the order of the vocabulary, seen from one vertebra, and the check it fails.

    >>> [at_level(read("L3-4"), spine.CODE[level], 12, 5) for level in ("L3", "L4", "L1")]
    [('disc_inferior', ''), ('disc_superior', ''), ('', 'leak_elsewhere')]
    """
    words = set(leak.words)
    thoracic, lumbar = np.array([n_thoracic]), np.array([n_lumbar])
    own, *ends = (
        int(spine.position(np.array([level]), thoracic, lumbar)[0]) for level in (code, *sum(leak.discs, start=()))
    )
    for upper, lower in zip(ends[::2], ends[1::2], strict=True):
        upper, lower = min(upper, lower), max(upper, lower)
        if upper < 0 or lower != upper + 1 or own not in (upper, lower):
            return "", "leak_elsewhere"
        words.add("disc_inferior" if own == upper else "disc_superior")
    return ";".join(word for word in LEAKS if word in words), ""


def _mark(found: re.Match[str]) -> str:
    upper = levels.parse(f"{found[1]}{found[2]}")
    lower = levels.parse(f"{found[3] or found[1]}{found[4]}")
    if isinstance(upper, str) or isinstance(lower, str) or len(upper) != 1 or len(lower) != 1:
        return found[0]
    return f"@{upper[0][0]}@{lower[0][0]}"
