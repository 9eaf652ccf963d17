"""Written text as it is compared: case, spacing, dashes, width and accents aside."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−﹣-﹘"), "-")
_INVISIBLE: Final = dict.fromkeys(
    (0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A),
     *range(0xFE00, 0xFE10)),
)  # fmt: skip
_ACCENTS: Final = re.compile("[\u0300-\u036f]")


def _same_character(code: int) -> bool:
    """Whether a character is another only in width or as one sign: full width, `Ⅳ`, `㎜`.

    Superscripts, circled digits and fractions stay what they are: `T1²` is a T1 with a footnote, not a T12.
    """
    return unicodedata.decomposition(chr(code)).startswith(("<wide>", "<narrow>")) or 0x2160 <= code <= 0x217F


_FOLDED: Final = {
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x2160, 0xFFEF) if _same_character(code)},
    **dict(zip(map(ord, "㎜㎝㎖㏄"), ("mm", "cm", "ml", "cc"), strict=True)),
    **_DASHES,
    **_INVISIBLE,
}


def plain(text: str) -> str:
    """Lower case, trimmed, single spaces, every dash a hyphen; full width as usual width, nothing invisible.

    >>> plain("  T11 – L1 "), plain("Ｌ４"), plain("TⅫ"), plain("T1²")
    ('t11 - l1', 'l4', 'txii', 't1²')
    """
    if text.isascii():
        return " ".join(text.lower().split())
    composed = unicodedata.normalize("NFC", text.translate(_FOLDED)).casefold()
    return " ".join(unicodedata.normalize("NFC", composed).split())


def bare(text: str) -> str:
    """Plain text without accents, which keyboards and exports lose.

    >>> bare("4ème vertèbre"), bare("Röntgen"), bare("椎间盘")
    ('4eme vertebre', 'rontgen', '椎间盘')
    """
    folded = plain(text)
    if folded.isascii():
        return folded
    stripped = _ACCENTS.sub("", unicodedata.normalize("NFD", folded))
    return " ".join(unicodedata.normalize("NFC", stripped).split())
