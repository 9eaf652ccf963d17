"""What a section of the page is made of; text is plain and is escaped by the template, never here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cohort.present.tables.model import Table


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text."""

    text: str
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of plain sentences."""

    items: Sequence[str]
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True)
class Definitions:
    """Terms and what they mean here."""

    items: Sequence[tuple[str, str]]
    kind: Literal["definitions"] = "definitions"


@dataclass(frozen=True)
class FigureBlock:
    """A drawing with its caption; `svg` is made by `present.theme.svg`, which escapes every text in it."""

    key: str
    title: str
    caption: str
    svg: str
    alt: str
    number: int = 0
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class TableBlock:
    """A printed table; `open_` false folds it on screen (it is always printed)."""

    table: Table
    number: int = 0
    kind: Literal["table"] = "table"


Block = Paragraph | Bullets | Definitions | FigureBlock | TableBlock


@dataclass(frozen=True)
class Section:
    """A heading with its blocks."""

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class HeadlineNumber:
    """One of the numbers of the first screen."""

    key: str
    value: str
    unit: str
    interval: str
    label: str
    small: str
