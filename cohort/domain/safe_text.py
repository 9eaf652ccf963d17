r"""Text that is safe to show and to open: control characters made visible, formulas of spreadsheets marked as text.

Both leave nothing out. A control character becomes the characters `\x1b` or `\u202e`. A text that a spreadsheet would
run as a formula gets a leading apostrophe in CSV files, which reading takes off again.
"""

from __future__ import annotations

import re
from typing import Final

# C0 but tab and line ends, DEL, C1, line and paragraph separators, and what turns the direction of text around.
HARMFUL: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_HARMFUL: Final = re.compile(f"[{HARMFUL}]")
FORMULA: Final = "^'*[ \ufeff]*[=+\\-@\t\r＝＋－＠]"
MARKED: Final = "^'+[ \ufeff]*[=+\\-@\t\r＝＋－＠]"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9][0-9.,]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)? ?%?|[+-]")


def visible(text: str) -> str:
    r"""The text with every control character in a visible form.

    >>> print(visible("a\x1b[31mb\u202e"))
    a\x1b[31mb\u202e
    """
    return _HARMFUL.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def guarded(text: str) -> str:
    """The text as a CSV file may hold it: never one that a spreadsheet would run.

    >>> guarded("=1+1"), guarded("-2.5"), guarded("-"), guarded("'=1"), guarded("O'Neill")
    ("'=1+1", '-2.5', '-', "''=1", "O'Neill")
    """
    return f"'{text}" if re.match(FORMULA, text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """The text that was guarded, or that somebody marked as text in a spreadsheet; any other as it is.

    >>> [unguarded(guarded(text)) for text in ("=1+1", "-2.5", "'=1", "''", "'x")]
    ['=1+1', '-2.5', "'=1", "''", "'x"]
    """
    return text[1:] if re.match(MARKED, text) else text
