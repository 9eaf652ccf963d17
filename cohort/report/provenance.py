"""Where a report comes from: versions, digests, seeds and the time it was made, written to `manifest.json`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import PurePath
from typing import Any, Final

import pandas as pd

from cohort.domain.errors import OutputError
from cohort.present.tables.model import records
from cohort.tables.results import Estimates
from cohort.tables.study_results import StudyResults

MADE_BY: Final = "cohort report"
FORMAT: Final = 1
SOFTWARE: Final = (
    "vertebral-cohort", "pandas", "numpy", "scipy", "lifelines", "statsmodels", "matplotlib", "jinja2", "pydantic",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of everything that can move a number or a line, Python first."""
    found = {"python": platform.python_version()}
    for name in SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def time_of_making(generated_at: datetime | None = None) -> datetime:
    """The time given, else SOURCE_DATE_EPOCH, else now; in UTC to the second.

    Raises OutputError when SOURCE_DATE_EPOCH is no count of seconds.
    """
    if generated_at is not None:
        aware = generated_at if generated_at.tzinfo else generated_at.replace(tzinfo=UTC)
        return aware.astimezone(UTC).replace(microsecond=0)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        try:
            return datetime.fromtimestamp(int(epoch), tz=UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise OutputError(
                f"SOURCE_DATE_EPOCH is {epoch!r}, which is no count of seconds since 1970. Set it right or unset it."
            ) from error
    return datetime.now(tz=UTC).replace(microsecond=0)


def digest(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def seeds(results: StudyResults) -> dict[str, int]:
    """Seeds of whatever was drawn at random, by the estimate that used them."""
    found = {}
    for part in (results, results.further):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Estimates):
                found.update(
                    {f"{field.name}.{k}": int(v) for k, v in value.settings.items() if "seed" in k and v is not None}
                )
    return found


def manifest(
    results: StudyResults, files: Mapping[str, bytes], *, generated_at: datetime, internal: bool
) -> dict[str, Any]:
    """What the manifest says. files : path within the report to content."""
    registry = results.registry
    inputs = registry.inputs.assign(source=[PurePath(str(name)).name for name in registry.inputs["source"]])
    problems = results.problems
    return {
        "made_by": MADE_BY,
        "format": FORMAT,
        "generated_at": generated_at.isoformat().replace("+00:00", "Z"),
        "registry": registry.study.output.registry,
        "title": registry.study.output.title,
        "period": [None if pd.isna(day) else day.strftime("%Y-%m-%d") for day in results.period],
        "internal": internal,
        "minimum_count": registry.study.disclosure.minimum_count,
        "versions": versions(),
        "settings_sha256": registry.study.digest,
        "inputs": [
            {name: _plain(getattr(row, name)) for name in ("table", "source", "sheet", "bytes", "sha256", "rows")}
            for row in records(inputs)
        ],
        "rows": {
            "read": int(results.accounting["rows_read"].sum()),
            "accepted": int(results.accounting["rows_accepted"].sum()),
            "rejected": int(results.accounting["rows_rejected"].sum()),
        },
        "problems": {
            outcome: int(problems.loc[problems["outcome"] == outcome, "n_rows"].sum())
            for outcome in ("reject", "blank", "warn")
        },
        "seeds": seeds(results),
        "files": {name: {"bytes": len(content), "sha256": digest(content)} for name, content in sorted(files.items())},
    }


def _plain(value: Any) -> Any:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value if isinstance(value, str) else int(value)


def to_json(content: Mapping[str, Any]) -> str:
    """The manifest as text, the same for the same content."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
