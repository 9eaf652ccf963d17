"""Lines of bytes, found, counted and laid out in columns without making a text of each.

Everything here holds for UTF-8 of which the caller has made sure that a line ends at a line feed and nowhere else.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]

from cohort.domain.clock import IntArray
from cohort.intake.words import Words

_PIECE: Final = 1 << 20  # bytes looked at in one go: as many as stay close to the processor
_PER_COLUMN: Final = 1 << 15  # bytes at least, so that a wide file is not cut into millions of little columns
_LONGEST_LINE: Final = 1 << 24  # bytes; a longer one is left to the csv module


def found(body: memoryview) -> tuple[IntArray, IntArray]:
    """Where every line begins, and where it ends: after its line end, which the last one may lack."""
    pieces = (np.frombuffer(body[k : k + _PIECE], dtype=np.uint8) for k in range(0, len(body), _PIECE))
    places = [np.flatnonzero(piece == ord("\n")) + k * _PIECE + 1 for k, piece in enumerate(pieces)]
    ends = np.concatenate([*places, np.empty(0, dtype=np.int64)]).astype(np.int64)
    if len(body) and (not len(ends) or ends[-1] < len(body)):
        ends = np.append(ends, len(body))
    return np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)], ends


def count(body: memoryview, starts: IntArray, character: str, longest: int) -> IntArray:
    """How often every line holds a character of ASCII; none is longer than `longest`. Shape (n_lines,)."""
    counts = np.zeros(len(starts), dtype=np.min_scalar_type(longest))
    first = 0
    while first < len(starts):
        # As many whole lines as make a piece, one at least.
        last = max(int(np.searchsorted(starts, starts[first] + _PIECE)), first + 1)
        end = int(starts[last]) if last < len(starts) else len(body)
        begin = int(starts[first])
        hits = np.frombuffer(body[begin:end], dtype=np.uint8) == ord(character)
        counts[first:last] = np.add.reduceat(hits.view(np.uint8), starts[first:last] - begin, dtype=counts.dtype)
        first = last
    return counts


def without(body: memoryview, starts: IntArray, ends: IntArray, odd: IntArray) -> memoryview:
    """The body without some of its lines."""
    if not len(odd):
        return body
    begins = np.concatenate([[0], ends[odd]]).tolist()
    stops = np.concatenate([starts[odd], [len(body)]]).tolist()
    return memoryview(b"".join(body[a:b] for a, b in zip(begins, stops, strict=True)))


def split(body: memoryview, n: int, delimiter: str, width: int, longest: int) -> list[Words] | None:
    """The columns of n lines without quotes, all of one width; None where Arrow sees other lines than we do."""
    if not n:
        return [Words.of(np.empty(0, dtype=object)) for _ in range(width)]
    names = [str(k) for k in range(width)]
    piece = min(max(_PIECE, width * _PER_COLUMN), _LONGEST_LINE)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(body)),
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, block_size=piece if 2 * longest < piece else _LONGEST_LINE
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())), strings_can_be_null=False
            ),
        )
        return [_words(table.column(k)) for k in range(width)] if table.num_rows == n else None
    except (pa.ArrowException, ValueError):
        return None


def _words(column: Any) -> Words:
    """A column of Arrow that has told its texts apart already."""
    whole = column.combine_chunks()
    return Words(whole.indices.to_numpy(), whole.dictionary.to_numpy(zero_copy_only=False))
