"""Do the toolkit and the slow reference agree? On random registries, sighting by sighting and vertebra-day by
vertebra-day.

python tests/reference/agree.py --patients 2000 --seed 1 --settings all

Every difference is printed with the smallest cohort that still shows one: a single patient, without the rows and
values that do not matter to it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import compare_rows
import pandas as pd
import slow
from random_registry import random_registry

from cohort.domain.study import StudyDefinition
from cohort.tables.schema import CANONICAL

Tables = dict[str, pd.DataFrame]
DEFAULT = StudyDefinition()
SETTINGS: dict[str, StudyDefinition] = {
    "defaults": DEFAULT,
    "reach 2": DEFAULT.with_("relation", reach=2),
    "staged window 0": DEFAULT.with_("relation", staged_days=0),
    "staged window 30": DEFAULT.with_("relation", staged_days=30),
    "healing 30": DEFAULT.with_("relation", healing_days=30),
    "nothing implied": DEFAULT.with_("relation", implied=False),
    "judgement off": DEFAULT.with_("judgement", enabled=False),
    "radiographic tier": DEFAULT.with_("judgement", tier="radiographic"),
    "other windows": DEFAULT.with_(
        "judgement", film_days=13, baseline_days=60, pain_days=14, other_fracture_days=29, worse_pain_points=1.0
    ).with_("relation", onset_clear_days=0),
    "T10 to L2, incomplete too": DEFAULT.with_("at_risk", first_level="T10", last_level="L2").with_(
        "population", include_incomplete=True
    ),
    # Levels that some patients lack bound the range.
    "T12 to L5": DEFAULT.with_("at_risk", first_level="T12", last_level="L5"),
    "every window 0": DEFAULT.with_("relation", healing_days=0, staged_days=0, onset_clear_days=0).with_(
        "judgement", baseline_days=0, pain_days=0, other_fracture_days=0, film_days=0
    ),
    "every window 400": DEFAULT.with_("relation", healing_days=400, staged_days=400, onset_clear_days=400).with_(
        "judgement", baseline_days=400, pain_days=400, other_fracture_days=400, film_days=400
    ),
}

# Settings that the oldest part of the slow reference does not know: for the comparisons of `compare_rows` only.
ROW_SETTINGS: dict[str, StudyDefinition] = {
    "last imaging": DEFAULT.with_("at_risk", exit_at="last_imaging"),
    "washout 60": DEFAULT.with_("at_risk", washout_days=60).with_("relation", cascade_days=30),
    "whose findings": DEFAULT.with_("exposures", two_neighbours="attributed", remote_whose="attributed").with_(
        "population", tumour_in_main=True
    ),
    "any findings": DEFAULT.with_("exposures", adjacent_whose="any_so_far").with_("at_risk", count_unproven=False),
}


# ---------------- one registry, both ways


def written(frame: pd.DataFrame) -> pd.DataFrame:
    """Values as they would be written: text, "" for empty; whole numbers without a decimal point."""

    def text(value: Any) -> str:
        if value is None or pd.isna(value):
            return ""
        if isinstance(value, pd.Timestamp):
            return value.date().isoformat()
        return f"{value:g}" if isinstance(value, float) else str(value)

    return pd.DataFrame({name: [text(value) for value in frame[name].astype(object)] for name in frame})


def unlike(what: str, expected: pd.DataFrame, got: pd.DataFrame, key: list[str]) -> list[tuple[str, str]]:
    """(column, sentence) of every cell in which two tables differ; rows are matched by key, then their order is
    compared."""
    columns = list(expected)
    expected, got = written(expected), written(got[columns])
    ours = {tuple(row[name] for name in key): row for row in expected.to_dict("records")}
    theirs = {tuple(row[name] for name in key): row for row in got.to_dict("records")}
    found = []
    for at in ours:
        if at not in theirs:
            found.append(("row", f"{what} {at}: missing; expected {ours[at]}"))
    for at in theirs:
        if at not in ours:
            found.append(("row", f"{what} {at}: not expected; got {theirs[at]}"))
        else:
            for name in columns:
                if ours[at][name] != theirs[at][name]:
                    found.append((name, f"{what} {at}, {name}: expected {ours[at][name]!r}, got {theirs[at][name]!r}"))
    if len(got) != len(theirs):
        found.append(("row", f"{what}: {len(got) - len(theirs)} rows too many"))
    if not found and ours and list(ours) != list(theirs):
        found.append(("order", f"{what}: order of the rows"))
    return found


def compare_sightings(tables: Tables, study: StudyDefinition) -> tuple[list[tuple[str, str]], int]:
    """Differences in the columns of `cohort classify` (and kept, origin, symptomatic, trauma), and sightings
    compared."""
    from cohort.refracture import classify

    expected = slow.classify(tables, study, beyond=True)
    classified = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    got = classified.sightings
    found = unlike("sighting", expected, got, ["patient_id", "fracture_id"])
    if list(got.columns[: len(slow.COLUMNS)]) != list(slow.COLUMNS):
        found.append(("columns", f"columns: {list(got.columns)}"))
    expected_treated = slow.augmentations(tables, study)
    treated = unlike("augmentation", expected_treated, classified.augmentations, ["patient_id", "augmentation_id"])
    return found + [one for one in treated if one[0] != "order"], len(expected)


def compare_person_time(tables: Tables, study: StudyDefinition) -> tuple[list[tuple[str, str]], int]:
    """Differences in the cells of `cohort persontime`, and vertebra-days compared."""
    from cohort.atrisk import person_time
    from cohort.refracture import classify

    classified = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    got = person_time(tables, classified.sightings, classified.augmentations, study)
    expected = slow.person_time(tables, study)
    return unlike("cell", expected, got, ["level", "role"]), int(expected["vertebra_days"].sum())


def compare_person_time_by_patient(tables: Tables, study: StudyDefinition) -> tuple[list[tuple[str, str]], int]:
    """The same patient by patient, with the days on which only a new fracture could count and the unproven events."""
    from cohort.atrisk import person_time_by_patient
    from cohort.refracture import classify

    classified = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    everyone = study.with_("population", include_incomplete=True)
    got = person_time_by_patient(tables, classified.sightings, classified.augmentations, everyone)
    expected = slow.person_time_by_patient(tables, everyone)
    found = unlike("cell", expected, got, ["patient_id", "level", "role"])
    return [one for one in found if one[0] != "order"], int(expected["vertebra_days"].sum())


def counted_are_events(tables: Tables, study: StudyDefinition) -> list[str]:
    """Over the same patients the counted rows equal the `events` of person-time, level by level and role by role."""
    from cohort.atrisk import person_time
    from cohort.refracture import classify

    classified = classify(tables, relation=study.relation, judgement=study.judgement, at_risk=study.at_risk)
    everyone = study.with_("population", include_incomplete=True)
    time_at_risk = written(person_time(tables, classified.sightings, classified.augmentations, everyone))
    sightings = written(classified.sightings)
    roles = {"fracture": "treated", "prophylactic": "treated_prophylactic", "tumour": "treated_tumour"}
    counted = Counter(
        (row["level"], roles[row["treated_for"]] if row["relation"] == "same" else row["relation"])
        for row in sightings.to_dict("records")
        if row["counted"] == "yes"
    )
    events = {(r["level"], r["role"]): int(float(r["events"])) for r in time_at_risk.to_dict("records")}
    events = {cell: n for cell, n in events.items() if n}
    return [
        f"{cell}: {counted.get(cell, 0)} counted, {events.get(cell, 0)} events"
        for cell in sorted({*counted, *events})
        if counted.get(cell, 0) != events.get(cell, 0)
    ]


# ---------------- the smallest cohort


def only(tables: Tables, patient_id: str) -> Tables:
    return {name: frame[frame["patient_id"] == patient_id].reset_index(drop=True) for name, frame in tables.items()}


def smaller(tables: Tables) -> list[Tables]:
    """The same cohort less one row, or less one optional value."""
    made = []
    for name, frame in tables.items():
        if name != "patients":
            made += [{**tables, name: frame.drop(index=i).reset_index(drop=True)} for i in frame.index]
    for name, frame in tables.items():
        for column in CANONICAL[name]:
            if column.required or column.name in ("augmentation_id", "fracture_id", "date_precision"):
                continue
            for i in frame.index[frame[column.name].notna()]:
                blanked = frame.copy()
                blanked.loc[i, column.name] = None
                made.append({**tables, name: blanked})
    return made


def shrink(tables: Tables, differs: Callable[[Tables], bool]) -> Tables:
    """The cohort with row after row and value after value left out as long as it still differs."""
    while True:
        for candidate in smaller(tables):
            if differs(candidate):
                tables = candidate
                break
        else:
            return tables


def shown(tables: Tables) -> str:
    lines = []
    for name, frame in tables.items():
        for row in written(frame).to_dict("records"):
            values = ", ".join(f"{key}={value}" for key, value in row.items() if value and key != "patient_id")
            lines.append(f"    {name}: {values}")
    return "\n".join(lines)


Comparison = Callable[[Tables, StudyDefinition], tuple[list[tuple[str, str]], int]]


def explain(compare: Comparison, tables: Tables, study: StudyDefinition, column: str) -> str:
    """The smallest cohort that still differs in that column, with what differs."""

    def found(candidate: Tables) -> list[str]:
        try:
            return [sentence for where, sentence in compare(candidate, study)[0] if where == column]
        except Exception as error:
            return [f"{type(error).__name__}: {error}"] if column == "error" else []

    least = shrink(tables, lambda candidate: bool(found(candidate)))
    return "\n".join([*(f"  {sentence}" for sentence in found(least)), shown(least)])


# ---------------- many registries


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the toolkit with the slow reference on random registries.")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="first seed; each registry takes the next")
    parser.add_argument("--settings", default="defaults", help=f"all, or one of: {'; '.join(SETTINGS | ROW_SETTINGS)}")
    parser.add_argument("--show", type=int, default=20, help="differences printed")
    parser.add_argument("--scores-a-day", type=int, default=1, help="the most pain scores on one day")
    parser.add_argument("--size", type=int, default=40, help="patients of one registry; the first seed makes the first")
    parser.add_argument(
        "--only", choices=("both", "sightings", "persontime", "all", *compare_rows.COMPARISONS), default="both"
    )
    chosen = parser.parse_args()
    known = SETTINGS | ROW_SETTINGS
    studies = known if chosen.settings == "all" else {chosen.settings: known[chosen.settings]}
    first = {"sightings": compare_sightings, "persontime": compare_person_time_by_patient}
    every: dict[str, Comparison] = {**first, **compare_rows.COMPARISONS}
    wanted = {"both": tuple(first), "all": tuple(every)}.get(chosen.only, (chosen.only,))
    comparisons = {name: every[name] for name in wanted}

    compared: Counter[str] = Counter()
    differing: Counter[tuple[str, str, str]] = Counter()
    printed = 0
    started = time.monotonic()
    for n in range(-(-chosen.patients // chosen.size)):
        tables = random_registry(chosen.size, chosen.seed + n, scores_a_day=chosen.scores_a_day)
        for setting, study in studies.items():
            for what, compare in comparisons.items():
                if what in first and setting in ROW_SETTINGS:
                    continue
                try:
                    found, how_many = compare(tables, study)
                    compared[what] += how_many
                    if not found:
                        continue
                except Exception as error:
                    found = [("error", f"{type(error).__name__}: {error}")]
                for patient_id in sorted(tables["patients"]["patient_id"]):
                    mine = only(tables, patient_id)
                    try:
                        unlike_here = {where for where, _ in compare(mine, study)[0]}
                    except Exception:
                        unlike_here = {"error"}
                    for column in sorted(unlike_here):
                        differing[setting, what, column] += 1
                        if printed < chosen.show and differing[setting, what, column] <= 2:
                            printed += 1
                            print(f"\n{setting}, seed {chosen.seed + n}, {what}, column {column}:")
                            print(explain(compare, mine, study, column), flush=True)
    print(
        f"\n{chosen.patients} patients, {len(studies)} settings: "
        + ", ".join(f"{compared[what]:,} {what}" for what in comparisons)
        + f" compared in {time.monotonic() - started:.0f} s"
    )
    for (setting, what, column), patients in sorted(differing.items()):
        print(f"  {setting}, {what}, {column}: {patients} patients differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
