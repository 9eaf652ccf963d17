"""Invariants of classification and of time at risk, on hostile random registries.

What must hold whatever a registry says (docs/definitions.md, sections 2, 4, 5 and 7; docs/readings.md): each test is
named by its sentence. Expectations are worked out here from the tables alone, or by running the public functions on a
registry that was changed in a way of which the answer is known.

Not asserted, because it is no theorem of the rules:

- A longer `healing_days` can add a *counted* sighting: kind `new` on the days -60, -10 and 15 about entry. With 30 days
  of healing the one on -10 is kept, and that on 15 repeats it; with 60 the one on -10 is a repeat and 15 counts. Where
  judgement is on, even the sightings kept may grow, since what was newly fractured elsewhere decides whether pain is
  known, and `settling` makes no later sighting a repeat. Days off risk may shrink: one window of 31 days replaces two
  of 30. What does hold, judgement off, is tested.
- Rows of a patient alone are not those of the whole in one covariate: anti-osteoporotic exposure is missing for
  everybody where `medications` has no row at all (readings no. 29). Their clocks and events are, and are tested merged.
- A mirrored spine exchanges what the words "the more caudal level" decide. Those rows are told by `tied`, and by two
  neighbours that broke on one day; they, and the lengths of the chains through them, are exempt.
- Under a constant shift of days, calendar years and birthdays (29 February) do not move along.
- With `exit_at = "last_imaging"` an earlier end of follow-up cuts time at risk at an earlier look, not at the end.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import agree
from random_registry import random_registry

import cohort
from cohort.atrisk import risk_windows
from cohort.domain.study import StudyDefinition
from cohort.pipeline import prepare
from cohort.tables.results import Registry

Tables = dict[str, pd.DataFrame]
DEFAULT = StudyDefinition()
FOLLOWED = {
    **agree.SETTINGS,
    "tumours in, levels within two": DEFAULT.with_("population", tumour_in_main=True).with_("relation", reach=2),
}
EVERY = {
    **FOLLOWED,
    "to the last look": DEFAULT.with_("at_risk", exit_at="last_imaging"),
    "deaths close, washout": DEFAULT.with_("at_risk", death_closes=True, washout_days=60),
}
SPLITS = ("calendar_year", "age", "since_procedure")
TREATED = {"fracture": "treated", "prophylactic": "treated_prophylactic", "tumour": "treated_tumour"}
LEVELS = [f"C{k}" for k in range(1, 8)] + [f"T{k}" for k in range(1, 14)] + [f"L{k}" for k in range(1, 7)] + ["S1"]
ROWS: dict[str, dict[str, Any]] = {
    "patients": {},
    "patients, same, changing, split": {"endpoint": "same", "changing": True, "split": SPLITS},
    "patients, retreated": {"endpoint": "retreated"},
    "procedures": {"unit": "procedure"},
    "procedures, adjacent, merged, split": {
        "unit": "procedure", "endpoint": "adjacent", "merge_staged": True, "split": ("since_procedure",)
    },
    "treated vertebrae": {"unit": "treated_vertebra"},
    "vertebrae treated": {"unit": "vertebra", "role": "treated"},
    "vertebrae adjacent": {"unit": "vertebra", "role": "adjacent"},
    "vertebrae remote, split": {"unit": "vertebra", "role": "remote", "split": ("since_procedure",)},
}  # fmt: skip

SEEDS = st.integers(0, 2**32 - 1)
SOME_ROWS = st.lists(st.sampled_from(sorted(ROWS)), min_size=3, max_size=3, unique=True)


def studies(of: Mapping[str, StudyDefinition] = EVERY) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(of))


def examples(n: int) -> settings:
    # A smaller seed makes no smaller registry: what fails is not shrunk.
    return settings(max_examples=n, deadline=None, database=None, phases=[Phase.explicit, Phase.generate])


# ---------------- tables compared row by row


def text(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def rows(frame: pd.DataFrame, *, without: Iterable[str] = ()) -> list[tuple[tuple[str, str], ...]]:
    """Every row as (column, value as text), empty values left out."""
    names = [name for name in frame if name not in set(without)]
    columns = [[text(value) for value in frame[name].astype(object)] for name in names]
    return [tuple((n, v) for n, v in zip(names, row, strict=True) if v) for row in zip(*columns, strict=True)]


def unlike(left: pd.DataFrame, right: pd.DataFrame, *, without: Iterable[str] = ()) -> list[Any]:
    """Rows that one table has and the other lacks, whatever their order; a few of them."""
    one, other = Counter(rows(left, without=without)), Counter(rows(right, without=without))
    return [("only left", r) for r in list(one - other)[:2]] + [("only right", r) for r in list(other - one)[:2]]


def outputs(registry: Registry, units: Iterable[str]) -> Tables:
    """What is made of a registry: its sightings, person-time, and rows of some units."""
    return {
        "sightings": cohort.classify(registry),
        "relations": cohort.relations(registry),
        "measures": cohort.measures(registry),
        "person-time": cohort.person_time(registry, by=SPLITS),
        **{name: cohort.at_risk(registry, **ROWS[name]).frame for name in units},
    }


def changed(tables: Tables, column: str, change: Callable[[pd.Series], pd.Series]) -> Tables:
    """The tables with a column changed wherever there is one of that name."""
    return {
        name: frame.assign(**{column: change(frame[column])}) if column in frame else frame
        for name, frame in tables.items()
    }


def renamed(tables: Tables, column: str, name_of: Mapping[str, str]) -> Tables:
    return changed(tables, column, lambda values: values.map(name_of).astype(object))


def marked(tables: Tables, prefix: str) -> Tables:
    """The same registry with every id of it marked, so that it can stand beside another."""
    for column in ("patient_id", "augmentation_id", "fracture_id"):
        tables = changed(tables, column, lambda values: (prefix + values).astype(object))
    return tables


def merged(*parts: Tables) -> Tables:
    return {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}


def only(frame: pd.DataFrame, patients: Iterable[str]) -> pd.DataFrame:
    return frame[frame["patient_id"].isin(list(patients))].reset_index(drop=True)


# ---------------- what the tables say, in plain Python


def is_dated(augmentations: pd.DataFrame) -> pd.Series:
    return augmentations["date"].notna() & (augmentations["date_precision"] != "before_index")


def by_patient(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in frame.to_dict("records"):
        found[row["patient_id"]].append(row)
    return found


def row_of(patient: Mapping[str, Any]) -> list[str]:
    """The vertebrae that a patient has, from the head down."""
    n_thoracic, n_lumbar = (
        usual if math.isnan(patient[name]) else int(patient[name])
        for name, usual in (("n_thoracic", 12), ("n_lumbar", 5))
    )
    own = {"T": n_thoracic, "L": n_lumbar}
    return [level for level in LEVELS if int(level[1:]) <= own.get(level[0], 7)]


def at_risk_of(patient: Mapping[str, Any], study: StudyDefinition) -> list[str]:
    first, last = study.at_risk.first_level, study.at_risk.last_level or "L6"
    return [v for v in row_of(patient) if LEVELS.index(first) <= LEVELS.index(v) <= LEVELS.index(last)]


def procedures_of(tables: Tables) -> dict[str, list[date]]:
    """Days of the dated procedures of C1-L6, in order."""
    treated = tables["augmentations"]
    treated = treated[is_dated(treated) & (treated["level"] != "S1")]
    return {
        patient: sorted({row["date"].date() for row in of_patient})
        for patient, of_patient in by_patient(treated).items()
    }


def birthday(born: date, age: int) -> date:
    leaps = born.month == 2 and born.day == 29
    year = born.year + age
    return date(year, 3, 1) if leaps and not (year % 4 == 0 and year != 1900) else born.replace(year=year)


def age_band(patient: Mapping[str, Any], origin: date | None, day: date, ages: tuple[int, ...]) -> str:
    if not pd.isna(patient["birth_date"]):
        reached = [birthday(patient["birth_date"].date(), age) for age in ages]
    elif not math.isnan(patient["age_at_index"]) and origin is not None:
        reached = [origin + timedelta(days=math.ceil((age - patient["age_at_index"]) * 365.25)) for age in ages]
    else:
        return "unknown"
    completed = sum(one <= day for one in reached)
    names = [f"<{ages[0]}", *(f"{low}-{high - 1}" for low, high in pairwise(ages)), f">={ages[-1]}"]
    return names[completed]


def since_band(procedures: list[date], day: date, cuts: tuple[int, ...]) -> str:
    earlier = [one for one in procedures if one < day]
    if not earlier:
        return "unknown"
    since = (day - earlier[-1]).days
    low = 1
    for cut in cuts:
        if since <= cut:
            return f"{low}-{cut}"
        low = cut + 1
    return f">{cuts[-1]}"


def counted_of(sightings: pd.DataFrame) -> pd.DataFrame:
    """The counted sightings, with the role of their vertebra."""
    found = sightings[sightings["counted"] == "yes"]
    role = [
        TREATED[row["treated_for"]] if row["relation"] == "same" else row["relation"]
        for row in found[["relation", "treated_for"]].astype(object).to_dict("records")
    ]
    return found.assign(role=role)


def events_of(frame: pd.DataFrame, columns: Iterable[str]) -> dict[tuple[str, ...], int]:
    columns = list(columns)
    some = frame[frame["events"] > 0]
    return dict(zip(some[columns].astype(str).itertuples(index=False, name=None), some["events"], strict=True))


# ---------------- 1 and 2: counts and days


@examples(5)
@given(
    seed=SEEDS, setting=studies(), ages=st.sampled_from([(65, 75, 85), (70,)]),
    cuts=st.sampled_from([(30, 90, 365), (1, 14)]),
)  # fmt: skip
def test_counted_sightings_are_the_events_of_person_time_by_level_role_year_age_and_days_since(
    seed, setting, ages, cuts
):
    study = EVERY[setting].with_("population", include_incomplete=True)
    tables = random_registry(50, seed)
    registry = Registry.of(tables, study)
    patients = {row["patient_id"]: row for row in tables["patients"].to_dict("records")}
    procedures = procedures_of(tables)
    treated = tables["augmentations"]
    undated = set(treated.loc[~is_dated(treated) & (treated["level"] != "S1"), "patient_id"])
    expected: Counter[tuple[str, ...]] = Counter()
    for row in counted_of(cohort.classify(registry)).to_dict("records"):
        who, day = row["patient_id"], row["date"].date()
        mine = procedures.get(who, [])
        origin = mine[0] if mine and who not in undated else None
        age = age_band(patients[who], origin, day, ages)
        expected[row["level"], row["role"], str(day.year), age, since_band(mine, day, cuts)] += 1

    split = cohort.person_time(registry, by=SPLITS, ages=ages, days_since=cuts)
    assert events_of(split, ["level", "role", *SPLITS]) == expected
    whole = cohort.person_time(registry)
    cells: Counter[tuple[str, ...]] = Counter()
    for cell, n in expected.items():
        cells[cell[:2]] += n
    assert events_of(whole, ["level", "role"]) == cells
    # What is split adds up to the whole, in days and in events.
    again = split.groupby(["level", "role"], observed=True)[["vertebra_days", "events"]].sum().reset_index()
    assert unlike(again, whole) == []
    for one in SPLITS:
        alone = cohort.person_time(registry, by=[one], ages=ages, days_since=cuts)
        summed = split.groupby(["level", "role", one], observed=True)[["vertebra_days", "events"]].sum().reset_index()
        assert unlike(summed, alone) == []


@examples(5)
@given(seed=SEEDS, setting=studies(FOLLOWED))
def test_every_day_of_a_vertebra_in_follow_up_is_in_one_role_or_off_risk_and_never_in_two(seed, setting):
    study = FOLLOWED[setting]
    tables = random_registry(50, seed)
    registry = Registry.of(tables, study)
    placed = prepare(registry)
    windows = risk_windows(*placed.stages)
    treated = placed.augmentations[is_dated(placed.augmentations)]

    off: dict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    treated_on: dict[tuple[str, str], list[pd.Timestamp]] = defaultdict(list)
    for row in treated.to_dict("records"):
        treated_on[row["patient_id"], row["level"]].append(row["date"])
        if not pd.isna(row["staged_from"]):
            off[row["patient_id"], row["level"]].append((row["staged_from"], row["date"]))
    for row in placed.sightings[placed.sightings["kept"] == "yes"].to_dict("records"):
        key, found = (row["patient_id"], row["level"]), row["date"]
        healed = found + pd.Timedelta(days=study.relation.healing_days)
        off[key].append((found, min([healed, *(day for day in treated_on[key] if day >= found)])))
    for row in tables["excluded_levels"].to_dict("records"):
        off[row["patient_id"], row["level"]].append((row["from"], row["to"]))
    held: dict[tuple[str, str], list[tuple[Any, Any]]] = defaultdict(list)
    for row in windows.to_dict("records"):
        held[row["patient_id"], row["level"]].append((row["start"], row["stop"]))

    patients = {row["patient_id"]: row for row in tables["patients"].to_dict("records")}
    for row in placed.follow_up.to_dict("records"):
        who, n_days = row["patient_id"], max(row["exit_day"] - row["entry_day"], 0)
        levels = at_risk_of(patients[who], study) if row["has_time"] else []
        assert {level for owner, level in held if owner == who} <= set(levels)

        def within(spans: list[tuple[Any, Any]], row: Mapping[str, Any] = row, n_days: int = n_days) -> np.ndarray:
            """How many of these spans (start, stop] hold each day of follow-up."""
            n = np.zeros(n_days, dtype=int)
            for start, stop in spans:
                first = 0 if pd.isna(start) else max((start - row["entry"]).days, 0)
                last = n_days if pd.isna(stop) else max((stop - row["entry"]).days, 0)
                n[first:last] += 1
            return n

        for level in levels:
            in_role, off_risk = within(held[who, level]), within(off[who, level]) > 0
            assert (in_role + off_risk == 1).all(), (who, level)
            days = sum((stop - start).days for start, stop in held[who, level])
            assert days + off_risk.sum() == row["exit_day"] - row["entry_day"], (who, level)

    # Person-time adds up the same windows, over all patients but incomplete ones.
    everyone = study.population.include_incomplete
    counts = [who for who, row in patients.items() if everyone or row["incomplete"] != "yes"]
    kept = only(windows, counts)
    kept = kept.assign(vertebra_days=(kept["stop"] - kept["start"]).dt.days)
    days_of = kept.groupby(["level", "role"], observed=True)["vertebra_days"].sum().reset_index()
    found = cohort.person_time(registry)
    assert unlike(days_of, found[found["vertebra_days"] > 0], without=["events"]) == []


# ---------------- 3 and 4: neither the order of rows nor the names of patients


@examples(2)
@given(seed=SEEDS, setting=studies(), units=SOME_ROWS)
def test_the_order_of_rows_changes_nothing(seed, setting, units):
    tables = random_registry(50, seed)
    rng = np.random.default_rng(seed)
    registry = Registry.of(tables, EVERY[setting])
    shuffled = {name: frame.iloc[rng.permutation(len(frame))] for name, frame in tables.items()}
    one, other = outputs(registry, units), outputs(Registry.of(shuffled, EVERY[setting]), units)
    for name in one:
        # Rows for models number the patients in the order of their table.
        numbered = ["id", "cluster"] if name in ROWS else []
        assert unlike(one[name], other[name], without=numbered) == [], name
        if not numbered:
            assert rows(one[name]) == rows(other[name]), name


@examples(2)
@given(seed=SEEDS, setting=studies(), units=SOME_ROWS)
def test_new_names_of_patients_in_the_same_order_change_only_the_names(seed, setting, units):
    tables = random_registry(50, seed)
    ids = sorted(tables["patients"]["patient_id"])
    name_of = {patient: f"{k:03}" for k, patient in enumerate(ids)}
    one = outputs(Registry.of(tables, EVERY[setting]), units)
    other = outputs(Registry.of(renamed(tables, "patient_id", name_of), EVERY[setting]), units)
    for name, frame in renamed(one, "patient_id", name_of).items():
        assert rows(frame) == rows(other[name]), name


@examples(2)
@given(seed=SEEDS, setting=studies(), units=SOME_ROWS)
def test_new_names_of_patients_in_reversed_order_give_the_same_rows(seed, setting, units):
    tables = random_registry(50, seed)
    ids = sorted(tables["patients"]["patient_id"], reverse=True)
    name_of = {patient: f"{k:03}" for k, patient in enumerate(ids)}
    one = outputs(Registry.of(tables, EVERY[setting]), units)
    other = outputs(Registry.of(renamed(tables, "patient_id", name_of), EVERY[setting]), units)
    for name, frame in renamed(one, "patient_id", name_of).items():
        # Treated vertebrae are numbered in the order of the names.
        assert unlike(frame, other[name], without=["id"]) == [], name


# ---------------- 5: a mirrored spine

WINDOW = [*(f"T{k}" for k in range(5, 13)), *(f"L{k}" for k in range(1, 6))]
# The window, and the vertebra beyond either end: what a leak out of the window flows to.
MIRROR = dict(zip(["T4", *WINDOW, "S1"], ["S1", *reversed(WINDOW), "T4"], strict=True))
SWAPPED = {"superior": "inferior", "inferior": "superior", "cranial": "caudal", "caudal": "cranial"}


def in_window(tables: Tables) -> Tables:
    """Patients with 12 thoracic and 5 lumbar vertebrae, and of their rows those of T5 to L5."""
    found = {name: frame[frame["level"].isin(WINDOW)] if "level" in frame else frame for name, frame in tables.items()}
    studies = tables["imaging_studies"]
    ends = [studies[end].isna() | studies[end].isin(WINDOW) for end in ("first_level", "last_level")]
    found["imaging_studies"] = studies[ends[0] & ends[1]]
    found["patients"] = tables["patients"].assign(n_thoracic=12.0, n_lumbar=5.0)
    return {name: frame.reset_index(drop=True) for name, frame in found.items()}


def with_pairs(tables: Tables, rng: np.random.Generator) -> Tables:
    """Some treatments and some finds again, on the same day and two levels below: what lies between is as near to
    both."""
    found = dict(tables)
    for name, key in (("augmentations", "augmentation_id"), ("fractures", "fracture_id")):
        frame = tables[name]
        below = dict(zip(WINDOW, WINDOW[2:], strict=False))
        again = frame[(rng.random(len(frame)) < 0.4) & frame["level"].isin(list(below))]
        level = pd.Series(pd.Categorical(again["level"].astype(object).map(below), LEVELS, ordered=True), again.index)
        again = again.assign(level=level, **{key: (again[key] + "+2").astype(object)})
        found[name] = pd.concat([frame, again], ignore_index=True)
    return found


def reflected(values: pd.Series) -> pd.Series:
    return pd.Series(pd.Categorical(values.astype(object).map(MIRROR), categories=LEVELS, ordered=True), values.index)


def swapped(values: pd.Series) -> pd.Series:
    """superior and inferior, cranial and caudal exchanged; the members of a set in their order as text."""

    def of(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        words = ["_".join(SWAPPED.get(part, part) for part in word.split("_")) for word in value.split(";")]
        return ";".join(words)

    return values.astype(object).map(of)


def reflected_ids(values: pd.Series) -> pd.Series:
    """Ids that name a level (imaging:L1:2020-01-31)."""

    def of(value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("imaging:"):
            return value
        _, level, day = value.split(":")
        return f"imaging:{MIRROR[level]}:{day}"

    return values.astype(object).map(of)


def in_the_mirror(tables: Tables) -> Tables:
    """What a registry, or what is made of it, looks like with the head below."""
    tables = changed(tables, "level", reflected)
    tables = changed(tables, "augmented_level", reflected)
    for column in ("fracture_id", "repeat_of", "cascade_of"):
        tables = changed(tables, column, reflected_ids)
    for column in ("leak", "fracture_endplate", "cement_endplate", "side"):
        tables = changed(tables, column, swapped)
    tables = changed(tables, "signed_distance", lambda values: -values + 0.0)
    if "imaging_studies" in tables:
        seen = tables["imaging_studies"]
        first, last = reflected(seen["last_level"]), reflected(seen["first_level"])
        tables["imaging_studies"] = seen.assign(first_level=first, last_level=last)
    return tables


def ties(tables: Tables) -> Callable[[str, str, pd.Timestamp], bool]:
    """Whether a fracture there and then is as near to a treated level above as to one below, with one latest day."""
    treated = tables["augmentations"]
    treated = treated.assign(date=treated["date"].where(is_dated(treated), pd.Timestamp.min))
    mine = by_patient(treated)

    def tied(patient: str, level: str, day: pd.Timestamp) -> bool:
        latest: dict[int, pd.Timestamp] = {}
        for row in mine.get(patient, ()):
            if row["date"] < day:
                place = WINDOW.index(row["level"])
                latest[place] = max(latest.get(place, row["date"]), row["date"])
        here = WINDOW.index(level)
        distance = min((abs(place - here) for place in latest), default=0)
        above, below = latest.get(here - distance), latest.get(here + distance)
        return distance > 0 and above is not None and above == below

    return tied


def cascades_tied(sightings: pd.DataFrame) -> tuple[list[bool], list[bool]]:
    """Sightings that follow one of two neighbours found on one day; and those at the end of a chain through such."""
    kept = sightings[sightings["kept"] == "yes"]
    seen = set(zip(kept["patient_id"], kept["level"].astype(str), kept["date"], strict=True))
    follows = {
        (row["patient_id"], row["fracture_id"]): row for row in sightings.astype({"level": object}).to_dict("records")
    }

    def tied(row: Mapping[str, Any]) -> bool:
        if pd.isna(row["cascade_of"]):
            return False
        place, day = WINDOW.index(row["level"]), row["date"] - pd.Timedelta(days=row["cascade_days"])
        beside = [WINDOW[k] for k in (place - 1, place + 1) if 0 <= k < len(WINDOW)]
        return len(beside) == 2 and all((row["patient_id"], level, day) in seen for level in beside)

    here, along = [], []
    for row in follows.values():
        here.append(tied(row))
        through = here[-1]
        while not through and not pd.isna(row["cascade_of"]):
            row = follows[row["patient_id"], row["cascade_of"]]
            through = tied(row)
        along.append(through)
    return here, along


@examples(3)
@given(seed=SEEDS, reach=st.integers(1, 3), whose=st.sampled_from(["worse", "attributed"]), units=SOME_ROWS)
def test_a_mirrored_spine_exchanges_cranial_and_caudal_and_changes_nothing_else(seed, reach, whose, units):
    # Beyond the ends of the window the spine goes on for as far as a reach of 3 on one side and ends at S1 on the
    # other; what lies there is not at risk.
    study = DEFAULT.with_("at_risk", first_level="T5", last_level="L5").with_("relation", reach=reach)
    study = study.with_("exposures", junction=("T9", "L1"))
    tables = with_pairs(in_window(random_registry(60, seed)), np.random.default_rng(seed))
    upright, mirror = Registry.of(tables, study), Registry.of(in_the_mirror(tables), study)
    tied = ties(tables)

    one, other = cohort.classify(upright), in_the_mirror({"": cohort.classify(mirror)})[""]
    keys = ["patient_id", "fracture_id"]
    assert not one.duplicated(keys).any()
    one, other = (frame.sort_values(keys, kind="stable", ignore_index=True) for frame in (one, other))
    attribution = np.array(
        [tied(who, level, day) for who, level, day in zip(one["patient_id"], one["level"], one["date"], strict=True)],
        dtype=bool,
    )
    assert (one.loc[attribution, "side"] == "both").all()
    # The more caudal of two, on either side of the mirror: the fracture lies above it.
    assert (one.loc[attribution, "signed_distance"] > 0).all()
    assert (other.loc[attribution, "signed_distance"] < 0).all()
    following, through = (np.array(which, dtype=bool) for which in cascades_tied(one))
    assert (one.loc[following, "cascade_of"] != other.loc[following, "cascade_of"]).all()
    exempt = {
        "augmentation_id": attribution, "signed_distance": attribution, "cascade_of": following,
        "cascade_length": through,
    }  # fmt: skip
    for column, which in exempt.items():
        one[column], other[column] = one[column].mask(which), other[column].mask(which)
    assert unlike(one, other) == []

    pairs, pairs_back = cohort.relations(upright), in_the_mirror({"": cohort.relations(mirror)})[""]
    for frame in (pairs, pairs_back):
        there = zip(frame["patient_id"], frame["level"], frame["date"], strict=True)
        exempt_pair = [tied(who, level, day) for who, level, day in there]
        frame["attributed"] = frame["attributed"].mask(np.array(exempt_pair, dtype=bool))
    assert unlike(pairs, pairs_back) == []

    for by in ([], list(SPLITS)):
        counts, back = (cohort.person_time(registry, by=by) for registry in (upright, mirror))
        assert unlike(counts, in_the_mirror({"": back})[""]) == []

    leaks = {side: cohort.measures(registry) for side, registry in (("upright", upright), ("mirror", mirror))}
    exchanged = leaks["mirror"].rename(
        columns={
            "leak_disc_superior": "leak_disc_inferior", "leak_disc_inferior": "leak_disc_superior",
            "leak_disc_above": "leak_disc_below", "leak_disc_below": "leak_disc_above",
        }
    )  # fmt: skip
    for column in ("leak_disc_above", "leak_disc_below"):
        named = exchanged[column].astype(object).str.split("-")
        exchanged[column] = [f"{MIRROR[d[1]]}-{MIRROR[d[0]]}" if isinstance(d, list) else None for d in named]
    exchanged["level"] = reflected(exchanged["level"])
    assert unlike(leaks["upright"], exchanged[list(leaks["upright"])]) == []

    # Rows of every unit, but for what an untreated vertebra has from the augmentation a fracture there would go to.
    study = study.with_("exposures", two_neighbours=whose, remote_whose="attributed")
    upright, mirror = (Registry.of(registry.tables, study) for registry in (upright, mirror))
    attributed = ["technique", "cement", "volume_ml", "cleft", "leak", "height_restoration"]
    for name in [*units, "vertebrae adjacent"]:
        asked = ROWS[name]
        frames = [cohort.at_risk(registry, **asked).frame for registry in (upright, mirror)]
        if "level" in frames[1]:
            frames[1]["level"] = reflected(frames[1]["level"])
        if asked.get("role") in ("adjacent", "remote"):
            names = attributed
            # The worse of two neighbours does not ask which is the more caudal.
            if asked["role"] == "adjacent" and whose == "worse":
                names = attributed[:3]
            for frame in frames:
                last_day = frame["origin_date"] + pd.to_timedelta(frame["exit"], unit="D")
                there = zip(frame["patient_id"], frame["level"], last_day, strict=True)
                which = np.array([tied(who, level, day) for who, level, day in there], dtype=bool)
                for column in names:
                    frame[column] = frame[column].astype(object).mask(which)
        assert unlike(frames[0], frames[1], without=["id"]) == [], name


# ---------------- 6 and 12: settings and ends that only move a border


@examples(4)
@given(seed=SEEDS, setting=studies(), reach=st.integers(1, 4))
def test_a_wider_reach_only_moves_sightings_and_days_from_remote_to_adjacent(seed, setting, reach):
    # Judgement stays on: nothing in sections 4 and 5 but the two relations asks for the reach.
    tables = random_registry(50, seed)
    near, far = (Registry.of(tables, EVERY[setting].with_("relation", reach=levels)) for levels in (reach, reach + 1))
    one, other = cohort.classify(near), cohort.classify(far)
    assert rows(one, without=["relation", "relation_earliest"]) == rows(
        other, without=["relation", "relation_earliest"]
    )
    for column in ("relation", "relation_earliest"):
        moves = set(zip(one[column].astype(object).map(text), other[column].astype(object).map(text), strict=True))
        assert moves <= {
            ("same", "same"), ("before_treatment", "before_treatment"), ("", ""),
            ("adjacent", "adjacent"), ("remote", "remote"), ("remote", "adjacent"),
        }  # fmt: skip
    counts = [frame.groupby("relation", observed=False).size() for frame in (one, other)]
    assert counts[0]["adjacent"] <= counts[1]["adjacent"]
    assert counts[0][["adjacent", "remote"]].sum() == counts[1][["adjacent", "remote"]].sum()

    before, after = cohort.person_time(near), cohort.person_time(far)
    untreated = {"adjacent": "untreated", "remote": "untreated"}
    together = [
        frame.assign(role=frame["role"].astype(str).replace(untreated))
        .groupby(["level", "role"], observed=True)[["vertebra_days", "events"]].sum().reset_index()
        for frame in (before, after)
    ]  # fmt: skip
    assert unlike(*together) == []
    adjacent = [
        frame[frame["role"] == "adjacent"].set_index("level")[["vertebra_days", "events"]] for frame in (before, after)
    ]
    wider = adjacent[1].reindex(LEVELS, fill_value=0)
    assert (adjacent[0].reindex(LEVELS, fill_value=0) <= wider).all(axis=None)


@examples(5)
@given(seed=SEEDS, setting=studies(FOLLOWED), days=st.sampled_from([1, 13, 30, 90, 200]))
def test_an_earlier_end_of_follow_up_takes_away_the_counted_sightings_after_it_and_no_other(seed, setting, days):
    study = FOLLOWED[setting]
    tables = random_registry(50, seed)
    earlier = changed(tables, "follow_up_end", lambda end: end - pd.Timedelta(days=days))
    long, short = prepare(Registry.of(tables, study)), prepare(Registry.of(earlier, study))
    one, other = long.sightings, short.sightings
    told = ["counted", "not_counted_because", "onset_unproven", "mechanisms"]
    assert rows(one, without=told) == rows(other, without=told)
    ends = earlier["patients"].set_index("patient_id")[["follow_up_end", "death_date"]].min(axis=1)
    late = one["date"] > one["patient_id"].map(ends)
    was, stays = one["counted"] == "yes", other["counted"] == "yes"
    assert (stays == (was & ~late)).all()
    assert (other.loc[was & late, "not_counted_because"] == "after_exit").all()
    assert rows(one.loc[~late]) == rows(other.loc[~late])

    windows = risk_windows(*long.stages)
    windows["stop"] = windows["stop"].clip(upper=windows["patient_id"].map(ends))
    cut = windows[windows["stop"] > windows["start"]]
    assert unlike(cut, risk_windows(*short.stages)) == []


@examples(4)
@given(seed=SEEDS, healing=st.tuples(st.integers(0, 100), st.integers(1, 100)))
def test_longer_healing_never_keeps_more_sightings_of_a_vertebra_where_nothing_is_judged_here(seed, healing):
    shorter, longer = healing[0], sum(healing)
    unjudged = DEFAULT.with_("judgement", enabled=False)
    tables = random_registry(50, seed)
    kept = []
    for days in (shorter, longer):
        found = cohort.classify(Registry.of(tables, unjudged.with_("relation", healing_days=days)))
        kept.append(found[found["kept"] == "yes"].astype({"level": object, "augmentation_id": object}))
    many, few = (frame.groupby(["patient_id", "level"]).size() for frame in kept)
    assert (few <= many.reindex(few.index, fill_value=0)).all()
    # Only kind `new` asks for the days: what is kept of the others, and of every vertebra the first, stays.
    others = [frame[frame["kind_judged"] != "new"] for frame in kept]
    assert rows(others[0][["patient_id", "fracture_id"]]) == rows(others[1][["patient_id", "fracture_id"]])
    first = [frame.drop_duplicates(["patient_id", "level"])[["patient_id", "fracture_id"]] for frame in kept]
    assert unlike(*first) == []


# ---------------- 7 and 9: patients are independent


@examples(2)
@given(seeds=st.tuples(SEEDS, SEEDS), setting=studies(), units=SOME_ROWS)
def test_two_registries_merged_add_their_person_time_and_put_their_rows_together(seeds, setting, units):
    study = EVERY[setting]
    parts = [marked(random_registry(40, seed), prefix) for seed, prefix in zip(seeds, ("a:", "b:"), strict=True)]
    # With no course at all in one of them, exposure there is missing for everybody (readings no. 29).
    assume(all(len(part["medications"]) for part in parts))
    first, second = (outputs(Registry.of(part, study), units) for part in parts)
    whole = outputs(Registry.of(merged(*parts), study), units)
    for name, frame in whole.items():
        if name == "person-time":
            cells = ["level", "role", *SPLITS]
            both = pd.concat([one[name].astype(dict.fromkeys(cells, object)) for one in (first, second)])
            added = both.groupby(cells)[["vertebra_days", "events"]].sum().reset_index()
            assert unlike(added, frame) == []
            continue
        together = rows(first[name], without=["id", "cluster"]) + rows(second[name], without=["id", "cluster"])
        if name in ROWS:
            assert Counter(together) == Counter(rows(frame, without=["id", "cluster"])), name
        else:
            assert together == rows(frame), name


@examples(1)
@given(seeds=st.tuples(SEEDS, SEEDS))
def test_two_registries_merged_add_the_events_units_and_years_of_every_policy(seeds):
    parts = [marked(random_registry(60, seed), prefix) for seed, prefix in zip(seeds, ("a:", "b:"), strict=True)]
    sums = ["n_patients", "n_units", "n_events", "person_years"]
    found = [
        cohort.policies(Registry.of(tables)).frame.set_index(["policy", "outcome"])[sums].fillna(0)
        for tables in (*parts, merged(*parts))
    ]
    pd.testing.assert_frame_equal(found[0] + found[1], found[2])


@examples(2)
@given(seed=SEEDS, setting=studies())
def test_a_patient_alone_has_the_rows_that_the_whole_registry_gives(seed, setting):
    study = EVERY[setting]
    tables = random_registry(7, seed)
    functions = (cohort.classify, cohort.relations, cohort.measures)
    whole = [made(Registry.of(tables, study)) for made in functions]
    for patient in tables["patients"]["patient_id"]:
        alone = Registry.of({name: only(frame, [patient]) for name, frame in tables.items()}, study)
        for of_all, made in zip(whole, functions, strict=True):
            assert rows(only(of_all, [patient])) == rows(made(alone)), (patient, made)


# ---------------- 8: a constant shift


@examples(2)
@given(seed=SEEDS, setting=studies(), days=st.integers(-3000, 3000).filter(bool), units=SOME_ROWS)
def test_a_shift_of_all_dates_changes_no_relation_count_or_duration(seed, setting, days, units):
    study, shift = EVERY[setting], pd.Timedelta(days=days)

    def shifted(tables: Tables, by: pd.Timedelta) -> Tables:
        moved = {}
        for name, frame in tables.items():
            dates = frame.select_dtypes("datetime").columns
            moved[name] = frame.assign(**{column: frame[column] + by for column in dates})
        return moved

    def ids(values: pd.Series) -> pd.Series:
        """Ids that name a day (imaging:L1:2020-01-31), as they were before the shift."""

        def of(value: Any) -> Any:
            if not isinstance(value, str) or not value.startswith("imaging:"):
                return value
            head, day = value.rsplit(":", 1)
            return f"{head}:{(pd.Timestamp(day) - shift).date()}"

        return values.astype(object).map(of)

    tables = random_registry(50, seed)
    for name in ("augmentations", "fractures"):
        known = tables[name]["date_precision"].mask(tables[name]["date_precision"].isin(["month", "year"]), "day")
        tables[name] = tables[name].assign(date_precision=known)
    later = shifted(tables, shift)

    def made(of: Tables) -> Tables:
        registry = Registry.of(of, study)
        asked = {name: {**ROWS[name], "split": ("since_procedure",)} for name in units}
        return {
            "sightings": cohort.classify(registry),
            "relations": cohort.relations(registry),
            "measures": cohort.measures(registry),
            "person-time": cohort.person_time(registry, by=["since_procedure"]),
            **{name: cohort.at_risk(registry, **how).frame for name, how in asked.items()},
        }

    one, other = made(tables), shifted(made(later), -shift)
    for column in ("fracture_id", "repeat_of", "cascade_of"):
        other = changed(other, column, ids)
    for name, frame in one.items():
        assert rows(frame) == rows(other[name]), name


# ---------------- 10: rows of models


def entries(tables: Tables) -> dict[str, pd.Timestamp]:
    """The first day of nobody's risk: entry of every patient that has one, from the tables alone."""
    procedures = procedures_of(tables)
    treated = tables["augmentations"]
    undated = set(treated.loc[~is_dated(treated) & (treated["level"] != "S1"), "patient_id"])
    found = {}
    for row in tables["patients"].to_dict("records"):
        who, enrolled = row["patient_id"], row["enrolled_on"]
        first = [pd.Timestamp(day) for day in procedures.get(who, [])[:1]]
        known = [] if pd.isna(enrolled) else [enrolled]
        if who in undated and known:
            found[who] = enrolled
        elif first:
            found[who] = first[0] if who in undated else max(first + known)
    return found


EVERY_UNIT: dict[str, dict[str, Any]] = {
    **{f"patients, {endpoint}": {"endpoint": endpoint} for endpoint in ("same", "remote", "retreated", "composite")},
    "patients, adjacent, changing": {"endpoint": "adjacent", "changing": True},
    "patients, composite, changing": {"changing": True},
    "procedures, composite": {"unit": "procedure"},
    "procedures, retreated, merged": {"unit": "procedure", "endpoint": "retreated", "merge_staged": True},
    **{f"treated for {why}": {"unit": "treated_vertebra", "indication": why} for why in TREATED},
    **{f"vertebrae {role}": {"unit": "vertebra", "role": role} for role in ("treated", "adjacent", "remote")},
}


@examples(3)
@given(
    seed=SEEDS, setting=studies(), split=st.lists(st.sampled_from(SPLITS), min_size=1, unique=True),
    units=st.lists(st.sampled_from(sorted(EVERY_UNIT)), min_size=4, max_size=4, unique=True),
)  # fmt: skip
def test_rows_of_models_follow_one_another_and_splitting_them_adds_up(seed, setting, split, units):
    tables = random_registry(50, seed)
    registry = Registry.of(tables, EVERY[setting])
    entry_of = entries(tables)
    procedures = procedures_of(tables)
    for name in units:
        asked = EVERY_UNIT[name]
        whole = cohort.at_risk(registry, **asked)
        cut = cohort.at_risk(registry, **asked, split=split)
        assert (whole.unit, whole.causes, whole.origin) == (cut.unit, cut.causes, cut.origin)
        for frame in (whole.frame, cut.frame):
            assert (frame["entry"] < frame["exit"]).all(), name
            same = (frame["id"] == frame["id"].shift()).to_numpy()
            assert (~same).sum() == frame["id"].nunique(), name
            assert (frame["entry"] >= frame["exit"].shift())[same].all(), name
            assert frame["cause"].between(0, len(whole.causes)).all()
            # A unit has one patient and one origin; nothing of it happens before entry, or after its event.
            assert len(frame[["id", "cluster", "patient_id", "origin_date"]].drop_duplicates()) == frame["id"].nunique()
            entry = (frame["patient_id"].map(entry_of) - frame["origin_date"]).dt.days
            assert (frame["entry"] >= entry).all(), name
            if asked.get("unit") != "vertebra":
                assert (frame["entry"] >= 0).all(), name
                last = (frame["id"] != frame["id"].shift(-1)).to_numpy()
                assert (frame.loc[~last, "cause"] == 0).all(), name
            # An event lies in (lower, exit]; a death is no event.
            died = frame["cause"].map(dict(enumerate(whole.causes, 1))).eq("death")
            happened = (frame["cause"] > 0) & ~died
            assert (frame["lower"].notna() == happened).all(), name
            since = entry if asked.get("unit") == "vertebra" else entry.clip(lower=0)
            bounded = frame["lower"].ge(since) & frame["lower"].lt(frame["exit"])
            assert bounded[happened].all(), name
        for frame in (whole.frame, cut.frame):
            frame["days"] = frame["exit"] - frame["entry"]
        ends = {"days": "sum", "cause": ["sum", "max"], "entry": "min", "exit": "max", "lower": ["count", "sum"]}
        pd.testing.assert_frame_equal(whole.frame.groupby("id").agg(ends), cut.frame.groupby("id").agg(ends))
        # Cut between bands, and nowhere else; a procedure begins its own.
        ends_of = set(zip(whole.frame["id"], whole.frame["exit"], strict=True))
        band = cut.frame[split].astype(str).agg("/".join, axis=1)
        last_day = cut.frame["origin_date"] + pd.to_timedelta(cut.frame["exit"], unit="D")
        there = zip(
            cut.frame["id"], cut.frame["exit"], cut.frame["patient_id"], last_day, band, band.shift(-1), strict=True
        )
        for id_, exit_, who, day, this, following in there:
            if (id_, exit_) not in ends_of and this == following:
                assert "since_procedure" in split, name
                assert day.date() in procedures[who], name


@examples(4)
@given(seed=SEEDS, setting=studies())
def test_events_of_vertebra_rows_are_the_counted_sightings_of_the_main_population(seed, setting):
    study = EVERY[setting].with_("at_risk", washout_days=0)
    registry = Registry.of(random_registry(60, seed), study)
    follow_up = prepare(registry).follow_up
    followed = follow_up.loc[follow_up["in_main"] & follow_up["origin"].notna(), "patient_id"]
    counted = only(counted_of(cohort.classify(registry)), followed)
    expected = Counter(
        zip(counted["patient_id"], counted["level"].astype(str), counted["role"], counted["date"], strict=True)
    )
    found: Counter[tuple[Any, ...]] = Counter()
    for role in ("treated", "adjacent", "remote"):
        frame = cohort.at_risk(registry, unit="vertebra", role=role).frame
        frame = frame[frame["cause"] == 1]
        day = frame["origin_date"] + pd.to_timedelta(frame["exit"], unit="D")
        found.update(zip(frame["patient_id"], frame["level"].astype(str), frame["role"].astype(str), day, strict=True))
    for cell, n in expected.items():
        if cell[2] in ("treated_prophylactic", "treated_tumour"):
            found[cell] += n
    assert found == expected
