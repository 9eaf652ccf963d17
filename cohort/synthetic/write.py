"""The messy raw registry on disk: files as hospitals export them, their study file, the defects and the truth.

The same seed writes the same bytes, workbook and all.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomlkit

from cohort.synthetic.calibration import calibration
from cohort.synthetic.defects import DEFECT_COLUMNS, plant
from cohort.synthetic.marginal import stored_values
from cohort.synthetic.mess import recorded
from cohort.synthetic.simulate import simulate
from cohort.synthetic.spellings import LAYOUTS, Layout, written_tables
from cohort.synthetic.truth import DEFAULT
from cohort.tables.schema import CANONICAL

ENOUGH_FOR_DEFECTS = 200
_ORDER_OF_STYLE = {"dotted": "dmy", "day_first": "dmy", "month_first": "mdy"}
_ZIP_TIME = (2017, 10, 16, 0, 0, 0)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMERIC = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WORKBOOK_NUMBERS = ("number", "integer")


def synthesize(n_patients: int, seed: int, out: Path) -> list[Path]:
    """Write a synthetic registry to the folder `out` (made if absent) and return the files, in order.

    n_patients : patients before the planted defects. Below 200 no defect is planted, since each needs a patient of its
        own; spellings, styles and gaps are as untidy as ever. seed : the same seed writes the same bytes.

    Raises UsageError if `n_patients` is below 1.
    """
    clean = simulate(n_patients, seed)
    rng = np.random.default_rng([seed, 1])
    kept = recorded(clean, rng)
    written = written_tables(kept, rng)
    defects = pd.DataFrame(columns=list(DEFECT_COLUMNS))
    if n_patients >= ENOUGH_FOR_DEFECTS:
        written, defects = plant(written, kept, rng)

    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for layout in LAYOUTS:
        if layout.sheet is None:
            files[layout.file] = _delimited(written[layout.table], layout)
    for name in dict.fromkeys(layout.file for layout in LAYOUTS if layout.sheet is not None):
        files[name] = _workbook(written, [layout for layout in LAYOUTS if layout.file == name])
    files["study.toml"] = _study(n_patients, seed).encode()
    files["defects.csv"] = defects.to_csv(index=False, lineterminator="\n").encode()
    files["truth.json"] = (json.dumps(_truth(n_patients, seed), indent=1, ensure_ascii=False) + "\n").encode()
    files["README.md"] = _dictionary(written, n_patients, seed).encode()
    paths = []
    for name, content in files.items():
        (out / name).write_bytes(content)
        paths.append(out / name)
    return paths


def _delimited(frame: pd.DataFrame, layout: Layout) -> bytes:
    text = frame.to_csv(index=False, sep=layout.delimiter, lineterminator="\n")
    return text.encode(layout.encoding)


def _workbook(written: Mapping[str, pd.DataFrame], layouts: list[Layout]) -> bytes:
    """Sheets with true numbers and dates where the text is one; what a clerk typed as text stays text."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for layout in layouts:
        sheet = book.create_sheet(layout.sheet)
        frame = written[layout.table]
        kinds = [_kind(layout, str(header)) for header in frame.columns]
        sheet.append(list(frame.columns))
        for row in frame.itertuples(index=False):
            sheet.append([_cell(str(text), kind) for text, kind in zip(row, kinds, strict=True)])
    buffer = io.BytesIO()
    book.save(buffer)
    return _without_time(buffer.getvalue())


def _kind(layout: Layout, header: str) -> str:
    table = CANONICAL[layout.table]
    name = layout.rename.get(header, header)
    return table[name].kind if name in table.names else "text"


def _cell(text: str, kind: str) -> str | float | datetime | None:
    if text == "":
        return None
    if kind == "date" and _ISO_DATE.fullmatch(text):
        return datetime.fromisoformat(text)
    if kind in _WORKBOOK_NUMBERS and _NUMERIC.fullmatch(text):
        return float(text)
    return text


def _without_time(content: bytes) -> bytes:
    """The workbook with fixed times inside, so that one seed gives one file."""
    source = zipfile.ZipFile(io.BytesIO(content))
    buffer = io.BytesIO()
    stamp = "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}Z".format(*_ZIP_TIME)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", stamp.encode(), data)
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 0  # else the operating system that wrote it would show
            target.writestr(info, data)
    return buffer.getvalue()


def _study(n_patients: int, seed: int) -> str:
    document = tomlkit.document()
    document.add(tomlkit.comment("How this registry is written, and what its study asks. All settings not named keep"))
    document.add(tomlkit.comment("their defaults. Simulated patients: see README.md and truth.json."))
    output = tomlkit.table()
    output["registry"] = f"Synthetic registry of {n_patients} simulated patients (seed {seed})"
    document["output"] = output
    tables = tomlkit.table(is_super_table=True)
    for layout in LAYOUTS:
        entry = tomlkit.table()
        entry["file"] = layout.file
        if layout.sheet is not None:
            entry["sheet"] = layout.sheet
        else:
            entry["encoding"] = layout.encoding
            entry["delimiter"] = layout.delimiter
            entry["decimal"] = layout.decimal
        order = layout.order if n_patients >= ENOUGH_FOR_DEFECTS else _every_order(layout)
        for name, mapping in (("rename", layout.rename), ("date_order", order)):
            if mapping:
                part = tomlkit.table()
                part.update(dict(mapping))
                entry[name] = part
        if layout.recode:
            recode = tomlkit.table(is_super_table=True)
            for column, words in layout.recode.items():
                part = tomlkit.table()
                part.update(dict(words))
                recode[column] = part
            entry["recode"] = recode
        tables[layout.table] = entry
    document["tables"] = tables
    return tomlkit.dumps(document)


def _every_order(layout: Layout) -> dict[str, str]:
    """The order of every date column: a column of a few dates cannot show its own."""
    shown = {name: _ORDER_OF_STYLE[style] for name, style in layout.dates.items() if style in _ORDER_OF_STYLE}
    return {**shown, **layout.order}


def _truth(n_patients: int, seed: int) -> dict[str, Any]:
    """Conditional effects, marginal values and calibration: what a report of this registry can be held against."""
    marginal = stored_values()
    values = {record["key"]: float(record["value"]) for record in marginal["values"]}
    return {
        "software": {"name": "vertebral-cohort", "version": _version()},
        "seed": seed,
        "n_patients": n_patients,
        "conditional": DEFAULT.as_dict(),
        "parameters_sha256": DEFAULT.digest,
        "marginal": marginal,
        "calibration": calibration(values),
        "note": (
            "The marginal values hold for clean patients (cohort.synthetic.simulate). The files beside this one are "
            "messier on purpose: missing values, unlisted and re-listed fractures move a report away from them."
        ),
    }


def _version() -> str:
    try:
        return version("vertebral-cohort")
    except PackageNotFoundError:
        return "unknown"


def _dictionary(written: Mapping[str, pd.DataFrame], n_patients: int, seed: int) -> str:
    """README.md: what each file holds, header by header."""
    lines = [
        "# A synthetic registry of vertebral augmentation",
        "",
        f"{n_patients:,} simulated patients, written by `cohort synthesize --patients {n_patients} --seed {seed}`. "
        "No person stands behind any row.",
        "",
        "The files look as hospitals export them: several delimiters and encodings, three ways of writing dates, many "
        "ways of writing a vertebra, values missing more often in some patients than in others, sessions finished days "
        "later, fractures seen again, films and pain scores. `study.toml` says how to read them; `cohort report` "
        "on this folder reads it as it is.",
        "",
        "- `defects.csv`: every planted defect with its file, row (the header is row 1), column and what must become "
        "of it: `reject` the row, `blank` the value, or `warn`.",
        "- `truth.json`: the effects behind the data given everything (`conditional`), what a perfect report of clean "
        "patients finds (`marginal`), and the published figures that both were calibrated to.",
        "",
    ]
    for layout in LAYOUTS:
        table = CANONICAL[layout.table]
        place = f"`{layout.file}`" + (f", sheet `{layout.sheet}`" if layout.sheet else "")
        n_rows = len(written[layout.table])
        lines += [f"## {place}", "", f"{layout.table}: {n_rows:,} rows. {table.grain} {_how_written(layout)}", "",
                  "| header | canonical column | meaning |", "|---|---|---|"]  # fmt: skip
        for header in written[layout.table].columns:
            name = layout.rename.get(str(header), str(header))
            unit = f" ({table[name].unit})" if table[name].unit else ""
            lines.append(f"| {header} | {name} | {table[name].description.rstrip('.')}{unit}{_style(layout, name)} |")
        lines.append("")
    return "\n".join(lines)


def _how_written(layout: Layout) -> str:
    if layout.sheet is not None:
        return "Dates and numbers as Excel holds them."
    delimiter = "tab" if layout.delimiter == "\t" else layout.delimiter
    return f"Encoding {layout.encoding}, delimiter `{delimiter}`, decimal mark `{layout.decimal}`."


def _style(layout: Layout, name: str) -> str:
    styles = {
        "iso": "2013-05-09",
        "dotted": "09.05.2013",
        "month_first": "05/09/2013",
        "day_first": "09/05/2013",
        "named": "9 May 2013",
    }
    shown = styles.get(layout.dates.get(name, ""), "")
    return f"; written {shown} for 9 May 2013" if shown and layout.sheet is None else ""
