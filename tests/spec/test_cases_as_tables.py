"""The rules as cases a clinician can read: each of `cases.toml` through classification and person-time.

The cases are written from docs/definitions.md, not from the code. One marked `disagrees` is where the text and the code
differ, kept as the text has it. Cases under the same settings are the patients of one registry, so that nothing of one
patient may reach another.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from random_registry import tables_of

import cohort
from cohort.domain import outcomes
from cohort.domain.study import StudyDefinition
from cohort.tables.results import Registry
from cohort.tables.schema import CANONICAL

CHAPTERS = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))["chapter"]
CASES = [case for chapter in CHAPTERS for case in chapter["case"]]
FIELDS = {"name", "why", "disagrees", "patient", "treated", "found", "films", "pain", "excluded", "settings"}
ANSWERS = {"expect", "time", "first"}

IDS = {"fracture_id", "repeat_of", "augmentation_id", "cascade_of"}
DAY_0 = date(2021, 3, 1)
LAST_DAY = 365
UNITS = {
    "anterior": "anterior mm",
    "anterior after": "anterior mm after",
    "kyphosis": "kyphosis deg",
    "kyphosis after": "kyphosis deg after",
    "clear": "last clear date",
}
ENTRY = re.compile(
    r"(?P<levels>\w+(?: \+ \w+)*)"
    r"(?: on (?P<day>-?\d+)| (?P<undated>undated)| from (?P<start>-?\d+) to (?P<stop>-?\d+))?"
    r"(?P<tag> \[\w+\])?(?: \((?P<details>[^)]*)\))?"
)
RELATIONS = {
    "same level": "same",
    "adjacent": "adjacent",
    "remote": "remote",
    "before treatment": "before_treatment",
}
# What a case says of a sighting, and the columns that must then hold it.
FLAGS: dict[str, dict[str, Any]] = {
    **{said: {"relation": relation} for said, relation in RELATIONS.items()},
    "cranial": {"side": "cranial"},
    "caudal": {"side": "caudal"},
    "both sides": {"side": "both"},
    "sandwiched": {"sandwiched": "yes"},
    "not sandwiched": {"sandwiched": "no"},
    "counted": {"counted": "yes", "not_counted_because": ""},
    "kept": {"kept": "yes"},
    "not kept": {"kept": "no"},
    "implied": {"implied": "yes"},
    "recorded": {"implied": "no"},
    "onset unproven": {"onset_unproven": "yes"},
    "onset not in doubt": {"onset_unproven": "no"},
    "from nothing": {"judged_cell": ""},
    "follows none": {"cascade_of": ""},
    "no distance": {"distance": ""},
    "no side": {"side": ""},
    "sandwiched not said": {"sandwiched": ""},
    "no attribution": {"augmentation_id": ""},
    "no days since": {"days_since": ""},
    "no treated for": {"treated_for": ""},
    "no earliest relation": {"relation_earliest": ""},
    "no repeat": {"repeat_of": ""},
    "no mechanism": {"mechanisms": ""},
    "no chain": {"cascade_length": ""},
}
SAYINGS = [
    ("not counted: ", lambda said: {"counted": "no", "not_counted_because": _word(said)}),
    ("repeat of ", lambda said: {"repeat_of": said, "counted": "no", "not_counted_because": "repeat"}),
    ("signed distance ", lambda said: {"signed_distance": float(said)}),
    ("treated levels ", lambda said: {"n_treated": float(said)}),
    ("distance ", lambda said: {"distance": float(said)}),
    ("attributed to ", lambda said: {"augmentation_id": said}),
    ("days since ", lambda said: {"days_since": float(said)}),
    ("treated for ", lambda said: {"treated_for": said}),
    ("earliest ", lambda said: {"relation_earliest": RELATIONS[said]}),
    ("judged ", lambda said: {"kind_judged": _word(said)}),
    ("from ", lambda said: {"judged_cell": ":".join(map(_word, said.split(" and pain ")))}),
    ("mechanism ", lambda said: {"mechanisms": ";".join(map(_word, said.split(" + ")))}),
    ("symptomatic ", lambda said: {"symptomatic": _word(said)}),
    ("trauma ", lambda said: {"trauma": _word(said)}),
    ("follows ", lambda said: {"cascade_of": said}),
    ("chain of ", lambda said: {"cascade_length": float(said)}),
]


def _word(said: str) -> str:
    return said.strip().replace(" ", "_")


def _day(number: str | int) -> date:
    return DAY_0 + timedelta(days=int(number))


def _entries(text: str) -> list[str]:
    return [entry for entry in (" ".join(part.split()) for part in text.split(";")) if entry]


def _details(said: str | None, table: str, bare: str) -> dict[str, Any]:
    """The bracket of an entry as columns: a bare word is the indication or the kind, the rest column and value."""
    row: dict[str, Any] = {}
    names = {column.name.replace("_", " "): column for column in CANONICAL[table].columns}
    names |= {short: names[long] for short, long in UNITS.items() if long in names}
    for detail in (part.strip() for part in (said or "").split(",") if part.strip()):
        name = max((name for name in names if detail.startswith(f"{name} ")), key=len, default=None)
        if name is None:
            row[bare] = detail
            continue
        column, value = names[name], detail.removeprefix(f"{name} ")
        match column.kind:
            case "number":
                row[column.name] = float(value)
            case "date":
                row[column.name] = _day(value)
            case "set":
                row[column.name] = ";".join(map(_word, value.split(" + ")))
            case _:
                row[column.name] = _word(value)
    return row


def _rows(text: str, table: str, *, key: str = "", bare: str = "") -> list[dict[str, Any]]:
    rows = []
    for entry in _entries(text):
        said = ENTRY.fullmatch(entry)
        assert said, f"not understood: {entry!r}"
        for level in said["levels"].split(" + "):
            row = {"level": level, **_details(said["details"], table, bare)}
            when = "undated" if said["undated"] else f"on {said['day']}"
            if said["day"] is not None:
                row["date"] = _day(said["day"])
            if said["undated"]:
                row["date_precision"] = "before_index"
            if said["start"] is not None:
                row |= {"from": _day(said["start"]), "to": _day(said["stop"])}
            if key:
                row[key] = f"{level} {when}{said['tag'] or ''}"
            rows.append(row)
    return rows


def _patient(text: str) -> dict[str, Any]:
    patient: dict[str, Any] = {"follow_up_end": _day(LAST_DAY)}
    columns = {"enrolled": "enrolled_on", "followed to": "follow_up_end", "died": "death_date"}
    for entry in _entries(text):
        if entry == "incomplete":
            patient["incomplete"] = "yes"
        elif said := re.fullmatch(r"(\d+) (thoracic|lumbar) vertebrae", entry):
            patient[f"n_{said[2]}"] = float(said[1])
        else:
            said = re.fullmatch(r"(enrolled|followed to|died) (-?\d+)", entry)
            assert said, f"not understood: {entry!r}"
            patient[columns[said[1]]] = _day(said[2])
    return patient


def rows_of(case: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The patient of a case as rows of the canonical tables."""
    pain = [re.fullmatch(r"(\d+) on (-?\d+)", entry) for entry in _entries(case.get("pain", ""))]
    assert all(pain), f"not understood: {case['pain']!r}"
    rows = {
        "patients": [_patient(case.get("patient", ""))],
        "augmentations": _rows(case["treated"], "augmentations", key="augmentation_id", bare="indication"),
        "fractures": _rows(case.get("found", ""), "fractures", key="fracture_id", bare="kind"),
        "imaging": _rows(case.get("films", ""), "imaging"),
        "assessments": [{"pain": float(said[1]), "date": _day(said[2])} for said in pain if said],
        "excluded_levels": _rows(case.get("excluded", ""), "excluded_levels"),
    }
    for table, written in rows.items():
        for column in CANONICAL[table].columns:
            if isinstance(column.dtype, pd.CategoricalDtype):  # a word it lacks would silently become missing
                assert {row[column.name] for row in written if column.name in row} <= set(column.dtype.categories)
        for row in written:
            row["patient_id"] = case["name"]
    return rows


@cache
def registry_under(settings: str) -> Registry:
    """The cases under some settings (as JSON), each a patient."""
    cases = [rows_of(case) for case in CASES if _settings(case) == settings]
    tables = tables_of({name: [row for case in cases for row in case.get(name, ())] for name in CANONICAL})
    return Registry.of(tables, StudyDefinition.model_validate(json.loads(settings)))


@cache
def sightings_under(settings: str) -> pd.DataFrame:
    """All sightings of those cases."""
    return cohort.classify(registry_under(settings))


def _settings(case: dict[str, Any]) -> str:
    return json.dumps(case.get("settings", {}), sort_keys=True)


def alone(case: dict[str, Any]) -> Registry:
    """The registry of one case."""
    together = registry_under(_settings(case))
    return replace(
        together, tables={name: frame[frame["patient_id"] == case["name"]] for name, frame in together.tables.items()}
    )


def expected(case: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a case says of each sighting, by its name."""
    told: dict[str, dict[str, Any]] = {}
    for entry in [] if case["expect"] == "nothing" else _entries(case["expect"]):
        name, _, sayings = entry.partition(": ")
        assert name not in told, name
        row: dict[str, Any] = {}
        for said in sayings.split(", "):
            if said in FLAGS:
                row |= FLAGS[said]
            else:
                meaning = next((of(said.removeprefix(start)) for start, of in SAYINGS if said.startswith(start)), None)
                assert meaning, f"not understood: {said!r}"
                row |= meaning
        told[name] = row
    return told


def _name(identifier: Any) -> str:
    """An id as the cases write it; those of films and implied fractures say what they are."""
    if pd.isna(identifier):
        return ""
    if said := re.fullmatch(r"imaging:(\w+):([\d-]+)", identifier):
        return f"film of {said[1]} on {(date.fromisoformat(said[2]) - DAY_0).days}"
    return str(identifier).replace("implied:", "implied ")


def person_time_expected(case: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """Vertebra-days and events by level and role, of the rows a case names."""
    told = {}
    for entry in _entries(case.get("time", "")):
        said = re.fullmatch(r"(\w+) ([a-z ]+): (?:none|(\d+) days?(?:, (\d+) events?)?)", entry)
        assert said, f"not understood: {entry!r}"
        told[said[1], _word(said[2])] = (int(said[3] or 0), int(said[4] or 0))
    return told


def _params() -> list[Any]:
    differs = pytest.mark.xfail(strict=True, reason="the text and the code differ: see the case")
    return [pytest.param(case, id=case["name"], marks=[differs] if case.get("disagrees") else []) for case in CASES]


@pytest.mark.parametrize("case", _params())
def test_a_case_is_as_the_rules_say(case):
    if "expect" in case:
        told, found = expected(case), {}
        sightings = sightings_under(_settings(case))
        for row in sightings[sightings["patient_id"] == case["name"]].to_dict("records"):
            found[_name(row["fracture_id"])] = {
                column: _name(value) if column in IDS else "" if pd.isna(value) else value
                for column, value in row.items()
            }
        assert sorted(found) == sorted(told), "other sightings than the case lists"
        assert not {
            f"{name}: {column}": f"{found[name][column]!r}, not {value!r}"
            for name, row in told.items()
            for column, value in row.items()
            if found[name][column] != value
        }

    if told_days := person_time_expected(case):
        counts = cohort.person_time(alone(case))
        days = {(row.level, row.role): (int(row.vertebra_days), int(row.events)) for row in counts.itertuples()}
        assert {key: days.get(key, (0, 0)) for key in told_days} == told_days

    for entry in _entries(case.get("first", "")):
        said = re.fullmatch(r"(?P<none>no )?(?P<endpoint>[a-z -]+) (?:on|by) (?P<day>\d+)", entry)
        assert said, f"not understood: {entry!r}"
        endpoint = {"same level": "same", "re-treatment": "retreated"}.get(said["endpoint"], said["endpoint"])
        last = cohort.at_risk(alone(case), endpoint=endpoint).frame.iloc[-1]
        assert (int(last["exit"]), last["cause"] > 0) == (int(said["day"]), not said["none"]), entry


# Reading 41: `count_unproven` is the one setting under which they differ.
@pytest.mark.parametrize("settings", sorted({_settings(case) for case in CASES if "unproven" not in _settings(case)}))
def test_counted_rows_are_the_events_level_by_level_and_role_by_role(settings):
    registry, sightings = registry_under(settings), sightings_under(settings)
    patients = registry["patients"]
    whole = patients.loc[patients["incomplete"] != "yes", "patient_id"]
    counted = sightings[(sightings["counted"] == "yes") & sightings["patient_id"].isin(whole)]
    of = {"fracture": "treated", "prophylactic": "treated_prophylactic", "tumour": "treated_tumour"}
    role = counted["treated_for"].astype("object").map(of).fillna(counted["relation"].astype("object"))
    rows = counted.groupby([counted["level"].astype(str), role]).size().to_dict()
    events = {(row.level, row.role): int(row.events) for row in cohort.person_time(registry).itertuples() if row.events}
    assert rows == events


def test_cases_have_only_fields_that_are_read_and_names_that_are_sentences():
    assert len(CASES) >= 110
    assert len({case["name"] for case in CASES}) == len(CASES)
    for case in CASES:
        assert set(case) <= FIELDS | ANSWERS, case["name"]
        assert set(case) & ANSWERS, case["name"]
        assert case["name"][0].isupper() or case["name"][0] == '"'


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("not_counted_because", outcomes.NOT_COUNTED),
        ("relation", outcomes.RELATIONS),
        ("side", outcomes.SIDES),
        ("treated_for", outcomes.INDICATIONS),
        ("kind_judged", outcomes.KINDS_JUDGED),
        (
            "judged_cell",
            [
                f"{change}:{pain}"
                for change in ("collapse", "partial_loss", "edema")
                for pain in ("worse", "not_worse", "unknown")
            ],
        ),
        ("mechanisms", outcomes.MECHANISMS),
    ],
)
def test_every_word_of_the_rules_occurs_in_a_case(column, words):
    said = {
        word
        for case in CASES
        if "expect" in case
        for row in expected(case).values()
        for word in str(row.get(column, "")).split(";")
    }
    assert set(words) <= said


def test_every_role_has_time_and_events_in_a_case():
    told = [(role, events) for case in CASES for (_, role), (_, events) in person_time_expected(case).items()]
    assert set(outcomes.ROLES) == {role for role, events in told if events}
