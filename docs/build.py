"""Write the pages that are data in the code: the data dictionary and the settings of the study file.

python docs/build.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cohort.domain.study import SourceTable, StudyDefinition
from cohort.pipeline.stages import settings_frame
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES, describe


def data_dictionary() -> str:
    """Every table and column, from the schema."""
    columns = describe()
    lines = [
        "# Data dictionary",
        "",
        "Written by `docs/build.py` from `cohort/tables/schema.py`. `*` marks a required column. Columns beyond",
        "these are carried through as covariates.",
    ]
    for table in CANONICAL.values():
        needed = "required" if table.name in REQUIRED_TABLES else "optional"
        lines += [
            "",
            f"## {table.name}",
            "",
            f"{table.grain} ({needed})",
            "",
            "| column | kind | values, unit | what |",
            "|---|---|---|---|",
        ]
        for row in columns[columns["table"] == table.name].itertuples():
            name = f"`{row.column}`" + ("*" if row.required == "yes" else "")
            limits = "" if pd.isna(row.minimum) else f"{row.minimum:g} to {row.maximum:g}"
            values = ", ".join(part for part in (str(row.values).replace("; ", ", "), limits, str(row.unit)) if part)
            lines.append(f"| {name} | {str(row.kind).replace('_', '/')} | {values} | {row.description} |")
    return "\n".join(lines) + "\n"


def study_file() -> str:
    """Every setting, from the study definition."""
    settings = settings_frame(StudyDefinition())
    lines = [
        "# The study file",
        "",
        "Written by `docs/build.py` from `cohort/domain/study.py`. A `study.toml` beside the tables states what",
        "differs from these defaults; an unknown setting is an error. The report prints every setting in force.",
        "",
        "## Where the tables are: `[tables.<name>]`",
        "",
        "| setting | what |",
        "|---|---|",
    ]
    lines += [
        f"| `{name}` | {info.description or _SOURCE_NOTES[name]} |" for name, info in SourceTable.model_fields.items()
    ]
    lines += [
        "",
        "```toml",
        "[tables.augmentations]",
        'file = "procedures.csv"',
        'rename = { "Level treated" = "level", "OP-Datum" = "date" }',
        'date_order = { date = "dmy" }',
        'recode = { technique = { "BKP" = "kyphoplasty" } }',
        "```",
    ]
    for section, rows in settings.groupby("section", sort=False):
        lines += ["", f"## `[{section}]`", "", "| setting | default | what |", "|---|---|---|"]
        lines += [f"| `{row.setting}` | {row.default or '(none)'} | {row.description} |" for row in rows.itertuples()]
    return "\n".join(lines) + "\n"


_SOURCE_NOTES = {
    "rename": "source column = canonical column",
    "recode": "canonical column: written value = canonical value",
    "date_order": "canonical column = ymd, dmy or mdy",
}
PAGES = {"data-dictionary.md": data_dictionary, "study-file.md": study_file}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")
