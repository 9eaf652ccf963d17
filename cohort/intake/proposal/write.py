"""A proposal as a commented study file: what is certain is a line, what is doubtful a question behind a `#`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from rapidfuzz import fuzz, process

from cohort.domain.safe_text import visible
from cohort.intake.proposal.match import Match
from cohort.intake.proposal.propose import Proposal, TableProposal
from cohort.intake.words import word
from cohort.tables.schema import CANONICAL, Column

_KEY: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^ ]+')
_MOST_CARRIED: Final = 200
_NEAR: Final = 85.0
_MM_MOST: Final = 6.0  # a height below this can only be centimetres

TOP: Final = """\
# A mapping proposed by `cohort map`. It is a guess from headers and values until a person has read it.
#
# Lines without `#` are certain. A line that begins with `#?` is doubtful: take `#?` away to accept it, or correct it.
# What every setting means: docs/study-file.md; what every column means: docs/data-dictionary.md.
#
# When it is right, set reviewed = true. Until then nothing is read with it.

reviewed = false
"""


def study_text(proposal: Proposal) -> str:
    """The study file: valid TOML whatever the headers hold."""
    lines = [TOP]
    for missing in proposal.missing:
        lines.append(f"# MISSING: no sheet looks like the table {missing}, which every registry needs.")
    for sentence in proposal.refused:
        lines.append(f"# Not read: {_comment(sentence)}")
    for label in proposal.unused:
        lines.append(f"# Not used: {_comment(label)} looks like no table.")
    for table in proposal.tables:
        lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A string of TOML, whatever it holds.

    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(visible(text), ensure_ascii=False)


def _comment(text: str) -> str:
    return " ".join(visible(text).split())


def _table(proposal: TableProposal) -> Iterator[str]:
    name, sheet = proposal.table, proposal.sheet
    yield f"# {'-' * 4} {name}: {_comment(sheet.label)} ({proposal.why})"
    for column in proposal.missing:
        yield f"# MISSING: no column looks like {column}, which {name} needs: {CANONICAL[name][column].description}"
    yield f"[tables.{name}]"
    if sheet.file:
        yield f"file = {quoted(sheet.file)}"
    if sheet.sheet:
        yield f"sheet = {quoted(sheet.sheet)}"
    if sheet.grid.encoding:
        yield f"encoding = {quoted(sheet.grid.encoding)}"
        yield f"delimiter = {quoted(sheet.grid.delimiter)}"
    if any(match.evidence.ambiguous for match in proposal.matches):
        yield '#? decimal = ","  # some numbers (1,234) can be read with a decimal comma or as thousands: which is it?'
    single = [match for match in proposal.matches if not match.unit.repeats]
    yield from _section(
        name,
        "rename",
        [_line(match, quoted(match.unit.name), quoted(match.column)) for match in single if _differs(match)],
    )
    same = [match for match in single if not _differs(match)]
    if same:
        yield "# Named as they should be: " + ", ".join(match.column for match in same)
    repeated = [match for match in proposal.matches if match.unit.repeats]
    yield from _section(name, "repeat", [_line(match, match.column, quoted(match.unit.name)) for match in repeated])
    yield from _section(name, "date_order", list(_orders(proposal.matches)))
    yield from _section(name, "unit", list(_units(name, proposal.matches)))
    for match in proposal.matches:
        yield from _recode(name, match)
    if proposal.carried:
        yield "# Carried along as covariates, because no column of the registry is called so. When was each known?"
        yield "# index: at the first augmentation; row: on the date of its row; later: only afterwards."
        yield from _section(name, "timing", [f'#? {quoted(one)} = "index"' for one in proposal.carried[:_MOST_CARRIED]])
        if len(proposal.carried) > _MOST_CARRIED:
            yield f"# and {len(proposal.carried) - _MOST_CARRIED:,} more"


def _section(table: str, setting: str, lines: list[str]) -> Iterator[str]:
    """Lines under their heading; of a name that occurs twice, which TOML does not allow, only the first."""
    if lines:
        yield f"[tables.{table}.{setting}]"
    seen: set[str] = set()
    for line in lines:
        name = json.dumps(line) if line.startswith("# ") else _KEY.match(line.removeprefix("#? "))[0]  # type: ignore[index]
        yield line if name not in seen else f"# occurs twice; give each its own name in the source: {line}"
        seen.add(name)


def _differs(match: Match) -> bool:
    return match.unit.name.strip().lower().replace(" ", "_").replace("-", "_") != match.column


def _line(match: Match, left: str, right: str) -> str:
    also = f"; or is it {', '.join(_comment(name) for name in match.runners_up[:3])}?" if match.runners_up else ""
    reason = f"{match.why}; {match.evidence.words}{also}"
    return f"{'' if match.certain else '#? '}{left} = {right}  # {'' if match.certain else 'doubtful: '}{reason}"


def _orders(matches: tuple[Match, ...]) -> Iterator[str]:
    for match in matches:
        seen = match.evidence
        if seen.day_first and seen.month_first:
            yield (
                f'#? {match.column} = "dmy"  # both orders occur: {seen.day_first:,} rows can only have the day first, '
                f"{seen.month_first:,} only the month"
            )
        elif seen.day_first or seen.month_first:
            order, count = ("dmy", seen.day_first) if seen.day_first else ("mdy", seen.month_first)
            yield f'{match.column} = "{order}"  # {count:,} rows can be read in this order only, none in the other'
        elif seen.open:
            yield f'#? {match.column} = "dmy"  # {seen.open:,} rows can be read with the day or the month first: which?'


def _units(table: str, matches: tuple[Match, ...]) -> Iterator[str]:
    for match in matches:
        column, seen = CANONICAL[table][match.column], match.evidence
        if column.unit == "mm" and 0 < seen.high <= _MM_MOST:
            yield f'#? {match.column} = "cm"  # the heights can only be centimetres'
        elif column.unit == "points" and column.maximum == 10 and 10 < seen.high <= 100:
            yield f'#? {match.column} = "points_100"  # the values reach beyond 10, so the scale may be 0 to 100'


def _recode(table: str, match: Match) -> Iterator[str]:
    column = CANONICAL[table][match.column]
    if not match.evidence.unreadable or not column.kind.startswith(("vocab", "finding", "yes_no")):
        return
    lines = []
    for text in match.evidence.unreadable:
        near = _nearest(text, column)
        lines.append(
            f"#? {quoted(text)} = {quoted(near or '...')}  # cannot be read as it is; "
            + ("likely this" if near else f"one of {', '.join(column.dtype.categories)}, or leave it out")  # type: ignore[union-attr]
        )
    yield from _section(table, f"recode.{match.column}", lines)


def _nearest(text: str, column: Column) -> str:
    """The one word of the vocabulary that a written word is near to, "" where there is none."""
    forms = {word(one): one for one in column.dtype.categories}  # type: ignore[union-attr]
    forms |= {word(synonym): known for synonym, known in column.synonyms}
    close = process.extract(word(text), list(forms), scorer=fuzz.ratio, score_cutoff=_NEAR)
    words = {forms[form] for form, _, _ in close}
    return words.pop() if len(words) == 1 else ""
