"""Planted defects: impossible values and doubled rows, each with the file and row where a reader must report it.

Rows are numbered as a person sees them, the header being row 1. A defect is either an altered cell (the row may stay,
the value goes) or an added row that must be rejected or warned about; added rows belong to patients who lose nothing
else by it, except that a rejected fracture or augmentation leaves its patient incomplete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray
from cohort.synthetic.spellings import DATE_STYLES, LAYOUT, Layout

Outcome = Literal["reject", "blank", "warn"]
DEFECT_COLUMNS = ("table", "file", "sheet", "row", "column", "header", "value", "expected", "check")
_PLACE, _ORDER = " place", " order"  # names no header can have


@dataclass(frozen=True)
class _Defect:
    table: str
    place: int
    column: str
    value: str
    expected: Outcome
    check: str


class Planter:
    """Alters and adds rows of the written tables, and finds the row numbers once all of them are in place."""

    def __init__(
        self, written: Mapping[str, pd.DataFrame], clean: Mapping[str, pd.DataFrame], rng: np.random.Generator
    ) -> None:
        self._rng = rng
        self._clean = clean
        self._frames = {}
        for name, frame in written.items():
            places = np.arange(len(frame))
            self._frames[name] = frame.astype("object").assign(**{_PLACE: places, _ORDER: places.astype(np.float64)})
        self._defects: list[_Defect] = []
        self._spoiled: dict[str, set[int]] = {name: set() for name in written}
        self._patients_used: set[str] = set()

    def alter(
        self, table: str, column: str, value: str, expected: Outcome, check: str, *, where: BoolArray | None = None
    ) -> None:
        """Write an impossible value into one row that holds a value there."""
        frame, header = self._frames[table], LAYOUT[table].written(column)
        whole = ~frame[_PLACE].isin(self._spoiled[table]) & frame[header].ne("")
        if where is not None:
            whole &= np.append(where, np.zeros(len(frame) - len(where), dtype=bool))
        index = int(self._rng.choice(np.flatnonzero(whole)))
        frame.loc[index, header] = value
        self._note(table, int(frame[_PLACE].to_numpy()[index]), column, value, expected, check)

    def add(
        self,
        table: str,
        cells: Mapping[str, str],
        column: str,
        expected: Outcome,
        check: str,
        *,
        of: pd.Series | None = None,
        note: bool = True,
        last: bool = False,
    ) -> None:
        """Add a row: one that exists (`of`, else any), with some cells (canonical names) written anew.

        last : near the end of the file, for a row that is wrong only because an earlier one was read.
        """
        frame, layout = self._frames[table], LAYOUT[table]
        template = (
            frame.loc[self._rng.choice(frame.index[~frame[_PLACE].isin(self._spoiled[table])])] if of is None else of
        )
        row = template.copy()
        for name, value in cells.items():
            row[layout.written(name)] = value
        place = len(frame)
        row[_PLACE] = place
        row[_ORDER] = place - 1.5 if last else self._rng.uniform(0, place)
        self._frames[table] = pd.concat([frame, row.to_frame().T], ignore_index=True)
        if note:
            self._note(table, place, column, str(row[layout.written(column)]), expected, check)

    def double(self, table: str, times: int) -> None:
        """Write some rows twice, the second time further down."""
        for _ in range(times):
            frame = self._frames[table]
            index = self._rng.choice(frame.index[~frame[_PLACE].isin(self._spoiled[table])])
            place = len(frame)
            row = frame.loc[index].copy()
            self._spoiled[table].add(int(row[_PLACE]))
            row[_PLACE] = place
            row[_ORDER] = float(row[_ORDER]) + 0.5 + self._rng.integers(0, 40)
            self._frames[table] = pd.concat([frame, row.to_frame().T], ignore_index=True)
            self._note(table, place, "", "", "reject", "the row repeats an earlier row in every cell")

    def someone(self, where: pd.Series) -> pd.Series:
        """A patient (row of the clean table) for whom the condition holds and who carries no defect yet."""
        patients = self._clean["patients"]
        free = where & ~patients["patient_id"].isin(self._patients_used)
        chosen = patients.loc[self._rng.choice(patients.index[free])]
        self._patients_used.add(str(chosen["patient_id"]))
        return chosen

    def anyone(self, table: str, *, one_vertebra: bool = False) -> pd.Series:
        """A written row of the table whose patient carries no defect yet, as a template."""
        frame, header = self._frames[table], LAYOUT[table].written("patient_id")
        free = ~frame[header].isin(self._patients_used) & ~frame[_PLACE].isin(self._spoiled[table])
        if one_vertebra:
            free &= frame[LAYOUT[table].written("level")].str.fullmatch(r"[TL][0-9]+").to_numpy(dtype=bool)
        chosen = frame.loc[self._rng.choice(frame.index[free])]
        self._patients_used.add(str(chosen[header]))
        return chosen

    def finish(self) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
        """The tables in the order in which they are written, and the list of defects with their rows."""
        tables, row_of = {}, {}
        for name, frame in self._frames.items():
            ordered = frame.sort_values(_ORDER, kind="stable", ignore_index=True)
            row_of[name] = dict(zip(ordered[_PLACE].astype(int), range(2, len(ordered) + 2), strict=True))
            tables[name] = ordered.drop(columns=[_PLACE, _ORDER])
        rows = [
            (
                defect.table,
                LAYOUT[defect.table].file,
                LAYOUT[defect.table].sheet or "",
                row_of[defect.table][defect.place],
                defect.column,
                LAYOUT[defect.table].written(defect.column) if defect.column else "",
                defect.value,
                defect.expected,
                defect.check,
            )
            for defect in self._defects
        ]
        return tables, pd.DataFrame(rows, columns=list(DEFECT_COLUMNS)).sort_values(["table", "row"], ignore_index=True)

    def _note(self, table: str, place: int, column: str, value: str, expected: Outcome, check: str) -> None:
        self._spoiled[table].add(place)
        self._defects.append(_Defect(table, place, column, value, expected, check))


def plant(
    written: Mapping[str, pd.DataFrame], clean: Mapping[str, pd.DataFrame], rng: np.random.Generator
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The written tables with every kind of defect that docs/definitions.md, section 3 names, and the list of them."""
    planter = Planter(written, clean, rng)
    _in_patients(planter, clean)
    _in_augmentations(planter, clean)
    _in_fractures(planter, clean)
    _in_the_rest(planter)
    for table, times in (("augmentations", 4), ("fractures", 4), ("medications", 3), ("imaging", 2), ("patients", 2)):
        planter.double(table, times)
    return planter.finish()


def _written_date(layout: Layout, column: str, day: pd.Timestamp) -> str:
    return DATE_STYLES[layout.dates[column]](day.year, day.month, day.day)


def _in_patients(planter: Planter, clean: Mapping[str, pd.DataFrame]) -> None:
    everybody = pd.Series(True, index=clean["patients"].index)
    planter.alter("patients", "t_score", "25", "blank", "a T-score above +6")
    planter.alter("patients", "t_score", "-28", "blank", "a T-score below -8 (a lost decimal comma)")
    planter.alter("patients", "age_at_index", "742", "blank", "an age above 120")
    planter.alter("patients", "prior_fractures", "many", "blank", "a count that is no number")
    planter.alter("patients", "corticosteroids", "maybe", "blank", "a word that is neither yes nor no")
    nobody = {
        "birth_date": "",
        "death_date": "",
        "vital_status_end": "",
        "enrolled_on": "",
        "n_thoracic": "",
        "n_lumbar": "",
    }
    for number, (column, value, check) in enumerate(
        (
            ("follow_up_end", "31.02.2015", "a day that no calendar has"),
            ("follow_up_end", "", "a required date that is empty"),
            ("birth_date", "30.02.1939", "an optional date that cannot be read"),
            ("n_thoracic", "14", "more thoracic vertebrae than a spine can have"),
            ("patient_id", "", "a row that does not say whose it is"),
        ),
        start=1,
    ):
        cells = {**nobody, "patient_id": f"Z{number:05d}", "age_at_index": "77"} | {column: value}
        planter.add("patients", cells, column, "reject", check)
    again = planter.someone(everybody)
    cells = {**nobody, "patient_id": str(again["patient_id"]), "age_at_index": "55", "site": "Bern"}
    planter.add("patients", cells, "patient_id", "reject", "a second row for one patient", last=True)

    # Two patients with one procedure each, made whole so that only the follow-up or the enrolment is odd.
    end = pd.Timestamp("2014-06-11")
    cells = {**nobody, "patient_id": "Z00011", "age_at_index": "81", "site": "Bern"}
    patients, procedures = LAYOUT["patients"], LAYOUT["augmentations"]
    cells["follow_up_end"] = _written_date(patients, "follow_up_end", end)
    planter.add("patients", cells, "follow_up_end", "warn", "follow-up that ends on the day it begins: no time at risk")
    procedure = {"patient_id": "Z00011", "augmentation_id": "AZ0011", "date": _written_date(procedures, "date", end)}
    planter.add("augmentations", {**procedure, "date_precision": "day", "level": "L1"}, "date", "warn", "", note=False)

    cells = {**cells, "patient_id": "Z00012", "follow_up_end": "20.08.2015"}
    planter.add(
        "patients", cells, "enrolled_on", "warn", "treated years before the site began, without a day of enrolment"
    )
    early = _written_date(procedures, "date", pd.Timestamp("2004-03-15"))
    procedure = {"patient_id": "Z00012", "augmentation_id": "AZ0012", "date": early}
    planter.add("augmentations", {**procedure, "date_precision": "day", "level": "T12"}, "date", "warn", "", note=False)


def _in_augmentations(planter: Planter, clean: Mapping[str, pd.DataFrame]) -> None:
    layout = LAYOUT["augmentations"]
    numbers = iter(range(1, 100))

    def added(cells: Mapping[str, str], column: str, check: str, patient_id: str | None = None) -> None:
        template = planter.anyone("augmentations").copy()
        cells = {"augmentation_id": f"AX{next(numbers):04d}", "date_precision": "day", **cells}
        if template[layout.written("date")] == "":
            cells = {"date": "2013-03-09", **cells}
        if patient_id is not None:
            cells["patient_id"] = patient_id
        planter.add("augmentations", cells, column, "reject", check, of=template)

    patients = clean["patients"]
    added({"level": "L7"}, "level", "a vertebra that no spine has")
    added({"level": "S2"}, "level", "a level below S1")
    added({"level": "L1, L9"}, "level", "a list with one unreadable member")
    added({"level": ""}, "level", "a required level that is empty")
    usual = planter.someone(patients["n_thoracic"].fillna(12).eq(12))
    added({"level": "T13"}, "level", "a vertebra that this patient does not have", str(usual["patient_id"]))
    added({"date": "2014-02-30"}, "date", "a day that no calendar has")
    added({"date": "04/05/2013"}, "date", "a date that can be read two ways")
    added({"date": ""}, "date", "a required date that is empty")
    dead = planter.someone(patients["death_date"].notna())
    late = _written_date(layout, "date", dead["death_date"] + pd.Timedelta(days=12))
    added({"date": late, "level": "L1"}, "date", "a procedure after death", str(dead["patient_id"]))
    added({}, "patient_id", "a patient without a row in patients", "P999999")
    added({}, "patient_id", "a row that does not say whose it is", "")
    planter.alter("augmentations", "volume_ml", "42", "blank", "a volume over 30 ml")
    planter.alter("augmentations", "anterior_mm_before", "2.1", "blank", "a height that can only be centimetres")
    planter.alter("augmentations", "pain_before", "14", "blank", "pain outside 0-10")
    planter.alter("augmentations", "leak", "none;venous", "blank", "no leak and a leak in one cell")
    planter.alter("augmentations", "leak_modality", "looked", "blank", "a word that is not in the vocabulary")


def _in_fractures(planter: Planter, clean: Mapping[str, pd.DataFrame]) -> None:
    layout = LAYOUT["fractures"]
    patients = clean["patients"]
    numbers = iter(range(1, 100))
    # Nothing else may be wrong with the row, so its patient is followed beyond it.
    followed = patients["death_date"].isna() & patients["follow_up_end"].gt("2016-06-30")
    bare = {"date_precision": "day", "last_clear_date": "", "kind": "", "symptomatic": "", "trauma": ""}

    def added(cells: Mapping[str, str], column: str, check: str, expected: Outcome = "reject") -> None:
        cells = {**bare, "fracture_id": f"FX{next(numbers):04d}", **cells}
        if "patient_id" not in cells:
            cells["patient_id"] = str(planter.someone(followed)["patient_id"])
        planter.add("fractures", cells, column, expected, check)

    good = {"date": "06/17/2015", "level": "T8"}
    added({**good, "level": "sacrum"}, "level", "a level below S1")
    added({**good, "level": "T45"}, "level", "a vertebra that no spine has")
    added({**good, "date": "03/14/12"}, "date", "a year of two digits")
    added({**good, "date": "25/12/2013"}, "date", "a date against the declared order")
    added({**good, "date": "13/32/2013"}, "date", "a day that no calendar has")
    added({**good, "last_clear_date": "2015-06-17"}, "last_clear_date", "the last clear film on the day of finding")
    added({**good, "last_clear_date": "2016-01-10"}, "last_clear_date", "the last clear film after the day of finding")
    added({**good, "last_clear_date": "spring"}, "last_clear_date", "an optional date that cannot be read")
    dead = planter.someone(patients["death_date"].notna())
    late = _written_date(layout, "date", dead["death_date"] + pd.Timedelta(days=5))
    added({"level": "T9", "date": late, "patient_id": str(dead["patient_id"])}, "date", "a fracture found after death")
    alive = planter.someone(patients["death_date"].isna() & patients["follow_up_end"].lt("2017-01-01"))
    late = _written_date(layout, "date", alive["follow_up_end"] + pd.Timedelta(days=60))
    cells = {"level": "T9", "date": late, "patient_id": str(alive["patient_id"]), "kind": "new"}
    added(cells, "date", "a fracture after the end of follow-up", "warn")
    added({**good, "patient_id": "P999998"}, "patient_id", "a patient without a row in patients")
    planter.alter("fractures", "kind", "shattered", "blank", "a word that is not in the vocabulary")
    planter.alter("fractures", "symptomatic", "perhaps", "blank", "a word that is no finding")
    used = planter.anyone("fractures", one_vertebra=True)
    other = str(planter.someone(followed)["patient_id"])
    number = str(used[layout.written("fracture_id")])
    planter.add("fractures", {**bare, **good, "fracture_id": number, "patient_id": other}, "fracture_id", "reject",
                "an id that an earlier row already uses", last=True)  # fmt: skip


def _in_the_rest(planter: Planter) -> None:
    planter.alter("imaging", "anterior_mm", "2.3", "blank", "a height that can only be centimetres")
    planter.alter("imaging", "posterior_mm", "310", "blank", "a height above 60 mm")
    planter.alter("imaging", "kyphosis_deg", "-85", "blank", "a kyphosis out of range")
    planter.alter("imaging", "posture", "sitting", "blank", "a word that is not in the vocabulary")
    planter.add("imaging", {"date": "next week"}, "date", "reject", "a date that cannot be read")
    planter.add("imaging", {"level": "L0"}, "level", "reject", "a vertebra that no spine has")
    planter.add("imaging", {"patient_id": "P999997"}, "patient_id", "reject", "a patient without a row in patients")
    planter.alter("assessments", "pain", "11", "blank", "pain outside 0-10")
    planter.alter("assessments", "odi", "140", "blank", "a disability index above 100")
    planter.add("assessments", {"date": ""}, "date", "reject", "a required date that is empty")
    planter.add("medications", {"start": "31/04/2014"}, "start", "reject", "a day that no calendar has")
    planter.add("medications", {"stop": "40 Mar 2015"}, "stop", "reject", "an optional date that cannot be read")
    planter.add("medications", {"drug": ""}, "drug", "reject", "a required value that is empty")
    planter.add("medications", {"start": "15/06/2014", "stop": "2 Jan 2014", "drug": "alendronate"}, "stop", "warn",
                "a course that ends before it starts")  # fmt: skip
    planter.add(
        "medications", {"drug": "study drug B", "drug_class": ""}, "drug", "warn", "a drug whose class is not known"
    )
    planter.add("excluded_levels", {"level": "L9"}, "level", "reject", "a vertebra that no spine has")
    planter.add("imaging_studies", {"date": "2013-19-05"}, "date", "reject", "a day that no calendar has")
    planter.alter("imaging_studies", "protocol", "curious", "blank", "a word that is not in the vocabulary")
