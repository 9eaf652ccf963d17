"""The pages of the specification: the cases and the mechanism tables of `tests/spec` as a clinician reads them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPEC = Path(__file__).parents[1] / "tests" / "spec"

_MECHANISMS_HEAD = """# Why the first procedure failed: the tables

Written by `docs/spec_pages.py` from `tests/spec/mechanisms.toml`; `tests/spec/test_mechanism_tables.py` holds every
cell against the code. The rules in words: [definitions.md](definitions.md#6-why-the-first-procedure-failed).

Each mechanism is **yes**, no, or *cannot be told*. What rules it out decides even where the other column was not
recorded."""

_MECHANISMS_FOOT = """## What is listed

Every mechanism that is yes, in the order above. Where none is: `not_recorded` if any of the five cannot be told,
else `unexplained`."""

_ANSWERS = {"yes": "**yes**", "no": "no", "?": "*cannot be told*"}


def chapter_table(title: str) -> str:
    """The cases of one chapter as a table, one line each, to stand beside the rules they show."""
    chapter = next(chapter for chapter in _read("cases.toml")["chapter"] if chapter["title"] == title)
    head = ["| case | treated | found, recorded | result |", "|---|---|---|---|"]
    return "\n".join([*head, *(_case(case) for case in chapter["case"])])


def mechanisms_page() -> str:
    """The truth table of each mechanism of `mechanisms.toml`, as a grid."""
    lines = [_MECHANISMS_HEAD]
    for mechanism in _read("mechanisms.toml")["mechanism"]:
        lines += [
            "",
            f"## {mechanism['sentence']}",
            "",
            " ".join([f"`{mechanism['name']}`.", mechanism.get("why", "")]),
        ]
        lines[-1] = lines[-1].rstrip()
        lines += ["", *_grid(mechanism)]
        for column, states in mechanism.get("state", {}).items():
            lines += ["", f"`{column}`: " + "; ".join(f"*{said}* is {means}" for said, means in states.items()) + "."]
    return "\n".join([*lines, "", _MECHANISMS_FOOT]) + "\n"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((SPEC / name).read_text(encoding="utf-8"))


def _case(case: dict[str, Any]) -> str:
    """A case as one row: what was done, what was found, and what follows."""
    named = f"**{case['name']}.**" + (f" {case['why']}" if "why" in case else "")
    if case.get("disagrees"):
        named += " *The software does otherwise.*"
    treated = _entries(case["treated"])
    treated += [f"patient: {_days(entry)}" for entry in _split(case.get("patient", ""))]
    treated += [f"excluded: {entry}" for entry in _entries(case.get("excluded", ""))]
    treated += [f"setting `{name}` = {value}" for name, value in _settings(case.get("settings", {}))]
    found = _entries(case.get("found", ""))
    found += [f"film of {entry}" for entry in _entries(case.get("films", ""))]
    found += [f"pain {entry}" for entry in _entries(case.get("pain", ""))]
    result = _entries(case.get("expect", ""))
    result += [f"*{entry}*" for entry in _split(case.get("time", ""))]
    result += [f"*first event: {_days(entry)}*" for entry in _split(case.get("first", ""))]
    cells = [named, *("<br>".join(part) for part in (treated, found, result))]
    return "| " + " | ".join(cell.replace("[", r"\[").replace("]", r"\]") for cell in cells) + " |"


def _split(text: str) -> list[str]:
    return [entry for entry in (" ".join(part.split()) for part in text.split(";")) if entry]


def _entries(text: str) -> list[str]:
    return [_days(entry) for entry in _split(text)]


def _days(entry: str) -> str:
    """The entry with its numbers of days called so."""
    entry = re.sub(r"\b(on|by|enrolled|followed to|died) (-?\d+)", r"\1 day \2", entry)
    entry = re.sub(r"\bfrom (-?\d+) to (-?\d+)", r"after day \1 up to day \2", entry)
    entry = re.sub(r"\b(enrolled|died) day", r"\1 on day", entry)
    return re.sub(r"\bclear (-?\d+)", r"clear on day \1", entry).replace("day -", "day \u2212")


def _settings(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for section, values in settings.items():
        for name, value in values.items():
            yield f"{section}.{name}", {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _grid(mechanism: dict[str, Any]) -> list[str]:
    rows = [[cell.strip() for cell in line.split("|")] for line in mechanism["table"].strip("\n").splitlines()]
    if "columns" in mechanism:
        head = [f"`{mechanism['rows']}` ↓ {_code(mechanism['columns'])} →", *rows.pop(0)[1:]]
    else:
        head = [f"`{mechanism['rows']}`", "answer"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + [f"| {row} | " + " | ".join(_ANSWERS[answer] for answer in answers) + " |" for row, *answers in rows]


def _code(name: str) -> str:
    return name if " " in name else f"`{name}`"
