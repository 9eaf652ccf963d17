"""How much text the cells of a workbook come to: they name shared texts, and reading copies each one for each cell.

Counted from above: what is written in an unusual way counts as the longest text there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

# Bounded repetitions, so that no content makes the search slow.
_TEXT_END: Final = re.compile(rb"</(?:\w{1,20}:)?si\s{0,20}>")
_NAMED: Final = re.compile(
    rb"""["']s["'][^<>]{0,200}>\s{0,20}<(?:\w{1,20}:)?v(?:\s[^<>]{0,50})?>\s{0,20}([0-9]{1,9})<"""
)
_LONGEST_TAG: Final = 64  # bytes


@dataclass
class SharedTexts:
    """One file of a workbook: its cells that name a shared text, and the bytes of its longest text, at most."""

    naming: int = 0
    longest: int = 0
    _open: int = 0

    def feed(self, piece: bytes) -> None:
        """Take up the next piece."""
        self.naming += _naming(piece) + 1  # one may be cut in two
        first, *others = map(len, _TEXT_END.split(piece))
        *ended, self._open = self._open + first, *others
        self.longest = max((self.longest, *ended))


Unpacked = Callable[[], Iterable[bytes]]


def total(parts: dict[str, SharedTexts], unpacked: Mapping[str, Unpacked], most: int) -> int:
    """Bytes of text of all cells, or a number no greater than `most` if they are certainly no more.

    parts : what was found in each file. unpacked : reads one anew, where a closer look is needed.
    """
    longest = max((part.longest for part in parts.values()), default=0)
    bound = longest * sum(part.naming for part in parts.values())
    if bound <= most:
        return bound
    lengths: list[int] = []
    for name in parts:
        lengths = [max(pair) for pair in zip_longest(lengths, _lengths(unpacked[name]()), fillvalue=0)]
    found = 0
    for name in parts:
        for piece in _whole_cells(unpacked[name]()):
            indices = [int(index) for index in _NAMED.findall(piece)]
            found += sum(lengths[index] if index < len(lengths) else 0 for index in indices)
            found += longest * max(_naming(piece) - len(indices), 0)
    return found


def _naming(piece: bytes) -> int:
    return piece.count(b'"s"') + piece.count(b"'s'")


def _lengths(pieces: Iterable[bytes]) -> Iterator[int]:
    tail, before = b"", 0
    for piece in pieces:
        *ended, tail = _TEXT_END.split(tail + piece)
        for text in ended:
            yield before + len(text)
            before = 0
        before += max(len(tail) - _LONGEST_TAG, 0)
        tail = tail[-_LONGEST_TAG:]


def _whole_cells(pieces: Iterable[bytes]) -> Iterator[bytes]:
    tail = b""
    for piece in pieces:
        data = tail + piece
        end = max(data.rfind(b"</c>") + 4, data.rfind(b":c>") + 3)
        if end <= 4 or len(data) - end > 1 << 20:
            end = len(data)
        yield data[:end]
        tail = data[end:]
    yield tail
