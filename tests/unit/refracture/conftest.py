"""Cohorts in words: a patient a block, a line an event, days counted from day 0 = 1 January 2020.

    patient a end=1000 n_lumbar=6 enrolled_on=5
      before  treat L1
           0  treat T12 indication=prophylactic id=k
          30  fracture L2 kind=new clear=10
          40  film T12 anterior=20 cleft=yes
          50  pain 7
      always  exclude L4 from=10

An id not given is `<level>@<day>`, as in `L2@30`.
"""

from types import SimpleNamespace

import pandas as pd
import pytest

from cohort.domain.study import AtRiskSettings, JudgementRules, RelationRules
from cohort.refracture import Classified, classify
from cohort.tables.schema import CANONICAL, empty

DAY_0 = pd.Timestamp("2020-01-01")
SHORT = {
    "end": "follow_up_end",
    "death": "death_date",
    "clear": "last_clear_date",
    "anterior": "anterior_mm",
    "kyphosis": "kyphosis_deg",
}
TABLE_OF = {
    "treat": "augmentations",
    "fracture": "fractures",
    "film": "imaging",
    "pain": "assessments",
    "exclude": "excluded_levels",
}


def canonical(name, rows):
    """Rows as dictionaries -> the canonical table, in its dtypes."""
    table = CANONICAL[name]
    if not rows:
        return empty(table)
    frame = pd.DataFrame(rows)
    columns = {}
    for column in table:
        values = frame[column.name] if column.name in frame else pd.Series(None, index=frame.index, dtype=object)
        if column.kind == "date":
            values = pd.to_datetime(values)
            columns[column.name] = values.astype("datetime64[ns]")
        elif column.dtype == "float64":
            columns[column.name] = pd.to_numeric(values).astype("float64")
        else:
            columns[column.name] = values.astype(column.dtype)
    return pd.DataFrame(columns).assign(source_row=range(2, len(frame) + 2))


def read_cohort(text):
    """Canonical tables of a cohort in words."""
    rows = {name: [] for name in CANONICAL}
    patient = None
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        given = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        given = {SHORT.get(key, key): value for key, value in given.items()}
        if plain[0] == "patient":
            patient = plain[1]
            given = {"follow_up_end": "1000", **given}
            rows["patients"].append({"patient_id": patient, **dated("patients", given)})
            continue
        when, verb, what = plain
        name = TABLE_OF[verb]
        row = {"patient_id": patient, **dated(name, given)}
        if name != "excluded_levels":
            row["date"] = None if when == "before" else DAY_0 + pd.Timedelta(days=int(when))
        if verb == "pain":
            row["pain"] = float(what)
        else:
            row["level"] = what
        if verb == "treat":
            row["date_precision"] = "before_index" if when == "before" else row.get("date_precision", "day")
        key = CANONICAL[name].key
        if key:
            row[key] = row.pop("id", f"{what}@{when}")
        rows[name].append(row)
    return {name: canonical(name, rows[name]) for name in CANONICAL}


def dated(name, given):
    """Day numbers of date columns as dates."""
    kinds = {column.name: column.kind for column in CANONICAL[name]}
    return {
        key: DAY_0 + pd.Timedelta(days=int(value)) if kinds.get(key) == "date" else value
        for key, value in given.items()
    }


def plain_value(value):
    if isinstance(value, pd.Timestamp):
        return (value - DAY_0).days
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    return value


class Sightings:
    """Classified sightings by id: dates as day numbers, missing as ''."""

    def __init__(self, classified: Classified) -> None:
        self.frame = classified.sightings
        self.augmentations = classified.augmentations

    @property
    def ids(self):
        return self.frame["fracture_id"].tolist()

    def __getitem__(self, fracture_id):
        (row,) = self.frame[self.frame["fracture_id"] == fracture_id].to_dict("records")
        return SimpleNamespace(**{key: plain_value(value) for key, value in row.items()})

    def treatment(self, augmentation_id):
        (row,) = self.augmentations[self.augmentations["augmentation_id"] == augmentation_id].to_dict("records")
        return SimpleNamespace(**{key: plain_value(value) for key, value in row.items()})

    def reasons(self):
        """What became of each sighting: its reason, or 'counted'."""
        because = self.frame["not_counted_because"].astype(object)
        return dict(zip(self.ids, because.where(because.notna(), "counted"), strict=True))


def classify_tables(tables, *, relation=None, judgement=None, at_risk=None):
    return classify(
        tables,
        relation=RelationRules(**(relation or {})),
        judgement=JudgementRules(**(judgement or {})),
        at_risk=AtRiskSettings(**(at_risk or {})),
    )


@pytest.fixture(scope="session")
def tables_of():
    """Canonical tables of a cohort in words."""
    return read_cohort


@pytest.fixture(scope="session")
def classified():
    """Sightings of a cohort in words, classified under the given settings."""

    def run(text, **settings):
        return Sightings(classify_tables(read_cohort(text), **settings))

    return run


@pytest.fixture(scope="session")
def classified_tables():
    """The same from tables: a Classified."""
    return classify_tables


def read_cases(text):
    """Rows of a table in words, cells between bars, the first row naming them."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[1:]]


def pytest_generate_tests(metafunc):
    """A test that asks for `case` runs once per row of its module's or its own CASES."""
    if "case" in metafunc.fixturenames:
        text = getattr(metafunc.module, metafunc.function.__name__.removeprefix("test_").upper(), None)
        cases = read_cases(text or metafunc.module.CASES)
        metafunc.parametrize("case", [SimpleNamespace(**c) for c in cases], ids=[list(c.values())[-1] for c in cases])
