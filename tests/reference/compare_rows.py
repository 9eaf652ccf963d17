"""The newer rules both ways: beyond the nearest, the long table, rows of every unit, exposures, splits, policies.

Each comparison takes tables and a study and returns what differs, as (what, sentence), and how much was compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import slow_beyond
import slow_rows
from slow_relation import patients_of

from cohort import atrisk, refracture
from cohort.domain.study import StudyDefinition
from cohort.pipeline.policies import of_cohort
from cohort.pipeline.stages import prepare
from cohort.tables.results import Registry

Tables = dict[str, pd.DataFrame]
Found = tuple[list[tuple[str, str]], int]
ROLES = ("treated", "adjacent", "remote")
ENDPOINTS = ("same", "adjacent", "remote", "composite", "retreated")
SPLITS = (("calendar_year",), ("age",), ("since_procedure",), ("calendar_year", "since_procedure"))
POLICIES = ("first_only", "gap", "gap_merged", "total")


def stages(tables: Tables, study: StudyDefinition) -> tuple[Tables, pd.DataFrame, pd.DataFrame, StudyDefinition]:
    classified = refracture.classify(
        tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk
    )  # fmt: skip
    return tables, classified.sightings, classified.augmentations, study


def text(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return f"{value:.10g}" if isinstance(value, (float, np.floating)) else str(value)


def lines(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = [[text(value) for value in frame[name].astype(object)] for name in frame]
    return sorted(zip(*columns, strict=True))


def unlike(what: str, expected: pd.DataFrame, got: pd.DataFrame) -> Found:
    """Rows of either table that the other lacks."""
    ours, theirs = lines(expected), lines(got[list(expected)])
    missing, extra = _less(ours, theirs), _less(theirs, ours)
    found = [(what, f"expected {row}") for row in missing] + [(what, f"got {row}") for row in extra]
    return found, len(ours)


def _less(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    rest = list(right)
    result = []
    for row in left:
        if row in rest:
            rest.remove(row)
        else:
            result.append(row)
    return result


def together(parts: list[Found]) -> Found:
    return [one for found, _ in parts for one in found], sum(n for _, n in parts)


def beyond(tables: Tables, study: StudyDefinition) -> Found:
    whole = stages(tables, study)
    return together(
        [
            unlike("beyond", slow_beyond.beyond(tables, study), whole[1]),
            unlike(
                "relations",
                slow_beyond.relations(tables, study),
                refracture.pairs(tables, whole[1], reach=study.relation.reach),
            ),
        ]
    )


def rows_of(rows: Any, unit: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    """Counting-process rows with the columns of the slow ones; rows that only split a run are joined again."""
    frame = rows.frame
    found = pd.DataFrame(
        {
            "patient_id": frame["patient_id"].astype(str),
            "unit": unit(frame),
            "entry": frame["entry"],
            "exit": frame["exit"],
            "cause": [("", *rows.causes)[cause] for cause in frame["cause"]],
            "lower": frame["lower"],
        }
    )
    follows = (found["unit"] == found["unit"].shift()) & (found["entry"] == found["exit"].shift())
    follows &= found["cause"].shift().eq("")
    runs = found.groupby((~follows).cumsum())
    return runs.agg(
        {"patient_id": "first", "unit": "first", "entry": "first", "exit": "last", "cause": "last", "lower": "last"}
    )


def _patient(frame: pd.DataFrame) -> pd.Series:
    return frame["patient_id"].astype(str)


def _procedure(frame: pd.DataFrame) -> pd.Series:
    return frame["patient_id"].astype(str) + ":" + frame["origin_date"].dt.strftime("%Y-%m-%d")


def rows(tables: Tables, study: StudyDefinition) -> Found:
    whole = stages(tables, study)
    parts = []
    for endpoint in ENDPOINTS:
        got = rows_of(atrisk.first_event_rows(*whole, endpoint=endpoint), _patient)
        parts.append(unlike(f"patient {endpoint}", slow_rows.patient_rows(tables, study, endpoint), got))
        changing = rows_of(atrisk.changing_rows(*whole, endpoint=endpoint), _patient)
        parts.append(unlike(f"changing {endpoint}", slow_rows.patient_rows(tables, study, endpoint), changing))
        for merged in (False, True):
            got = rows_of(atrisk.procedure_rows(*whole, endpoint=endpoint, merge_staged=merged), _procedure)
            expected = slow_rows.procedure_rows(tables, study, endpoint, merge_staged=merged)
            parts.append(unlike(f"procedure {endpoint} {merged}", expected, got))
    for indication in ("fracture", "prophylactic", "tumour"):
        got = rows_of(
            atrisk.treated_vertebra_rows(*whole, indication=indication), lambda frame: frame["augmentation_id"]
        )
        expected = slow_rows.treated_vertebra_rows(tables, study, indication)
        parts.append(unlike(f"treated vertebra {indication}", expected, got))
    return together(parts)


def days(tables: Tables, study: StudyDefinition) -> Found:
    """Vertebra rows day by day, with the exposures on the last day of every row."""
    whole = stages(tables, study)
    patients = {patient.id: patient for patient in patients_of(tables, study)}
    parts = []
    for role in ROLES:
        frame = atrisk.vertebra_rows(*whole, role=role).frame
        length = (frame["exit"] - frame["entry"]).to_numpy()
        source = np.repeat(np.arange(len(frame)), length)
        ends = np.repeat(frame["exit"].to_numpy() - length, length) + _counted_up(length)
        at_exit = ends == frame["exit"].to_numpy()[source]
        got = pd.DataFrame(
            {
                "patient_id": frame["patient_id"].astype(str).to_numpy()[source],
                "level": frame["level"].astype(str).to_numpy()[source],
                "exit": ends.astype(np.float64),
                "event": np.where(at_exit, frame["cause"].to_numpy()[source], 0),
                "lower": np.where(at_exit, frame["lower"].to_numpy()[source], np.nan),
            }
        )
        expected = slow_rows.vertebra_days(tables, study, role)
        expected = expected[expected["origin_known"] == "yes"][list(got)]
        parts.append(unlike(f"days {role}", expected, got))
        parts.append(exposures(frame, patients, role))
    return together(parts)


def _counted_up(length: np.ndarray) -> np.ndarray:
    ends = np.cumsum(length)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - length, length) + 1


def exposures(frame: pd.DataFrame, patients: dict[str, Any], role: str) -> Found:
    """The exposures of the first and the last day of every row."""
    columns = ["cleft", "leak", "height_restoration", "n_treated_neighbours", "technique", "cement", "volume_ml"]
    found = []
    for row in frame.to_dict("records"):
        for since in (row["entry"] + 1, row["exit"]):
            day = (row["origin_date"] + pd.Timedelta(days=since)).date()
            expected = slow_beyond.exposure_on(patients[row["patient_id"]], row["level"], day)
            for name in columns:
                want = expected[name]
                want = None if isinstance(want, str) and want == "missing" else want
                want = float(want) if want is not None and name in ("height_restoration", "volume_ml") else want
                if text(want) != text(row[name]):
                    place = f"{row['patient_id']} {row['level']} {day}"
                    found.append((f"exposure {role} {name}", f"{place}: expected {want}, got {row[name]}"))
    return found, 2 * len(frame) * len(columns)


def splits(tables: Tables, study: StudyDefinition) -> Found:
    whole = stages(tables, study)
    parts = []
    for by in SPLITS:
        got = atrisk.person_time(*whole, by=by)
        parts.append(unlike(f"person-time by {', '.join(by)}", slow_rows.person_time(tables, study, by), got))
    return together(parts)


def policies(tables: Tables, study: StudyDefinition) -> Found:
    frame = of_cohort(prepare(Registry.of(tables, study))).frame
    if "person_years" not in frame:
        frame["person_years"] = 0.0
    got = frame.rename(columns={"outcome": "relation"}).assign(
        person_days=(frame["person_years"].fillna(0) * 365.25).round().astype("int64")
    )
    return unlike("policies", slow_rows.policies(tables, study), got)


COMPARISONS = {"beyond": beyond, "rows": rows, "days": days, "splits": splits, "policies": policies}
