"""The measures of a treated vertebra: from its heights, angles and findings; formulas.py has each formula and source.

What cannot be told is missing, and a missing finding never becomes no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain import spine
from cohort.domain.clock import BEFORE_INDEX, MISSING, NEVER, BoolArray, FloatArray, IntArray, to_days
from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.outcomes import FINDING
from cohort.domain.study import JudgementRules
from cohort.domain.treated import TreatedHistory, key_of, pack
from cohort.refracture import leak_routes
from cohort.refracture import numbered as as_arrays
from cohort.refracture.body import (
    COLUMNS_OF_BODY,
    GRADES,
    SHAPES,
    Heights,
    compression,
    genant,
    restoration,
    share,
    wedge_angle_deg,
)
from cohort.refracture.films import MISSING_FINDING, NO, NOT_ASSESSABLE, YES, Films, films
from cohort.refracture.formulas import FORMULAS
from cohort.refracture.heights import film_changes
from cohort.refracture.lookup import Line
from cohort.refracture.numbered import Patients, codes, numbers, words, yes_no
from cohort.tables.schema import AUGMENTATIONS

KEYS: Final = ("augmentation_id", "patient_id", "level")

_FINDING_OF: Final = {MISSING_FINDING: -1, NOT_ASSESSABLE: FINDING.index("not_assessable"), NO: 0, YES: 2}


def measures(
    tables: Mapping[str, pd.DataFrame],
    augmentations: pd.DataFrame,
    judgement: JudgementRules,
    junction: tuple[str, str] = ("T11", "L2"),
) -> pd.DataFrame:
    """One row per treated vertebra, in the order given: augmentation_id, patient_id, level, the columns of FORMULAS.

    tables : canonical tables by name; imaging and fractures may be absent. augmentations : of `classify`, one row per
    treated vertebra. judgement : of which only `baseline_days` counts, the days in which a film is the first
    post-operative one. junction : first and last vertebra of the thoracolumbar junction, inclusive, in each patient's
    own spine (a T13 lies inside T11-L2); authors differ (T10-L2, T11-L2, T12-L1).

    *Expected heights*. Anterior: `anterior_mm_reference` and nothing else, so that anterior_restoration_ratio is the
    exposure `height_restoration`. Middle and posterior: the mean of the same column of the vertebrae directly above
    and below, both measured on one day (one magnification) of the latest film on or before the day of treatment, else
    of the first within `baseline_days` after it, both intact: no row of `fractures` up to that film, not augmented up
    to that film nor the day of treatment. Else missing, and always for the last lumbar vertebra and S1 (a sacrum has no
    such height) and for C1 and C2.

    *Films*. A film belongs to the latest treatment of its level before its day; one on the day of a treatment to the
    one before. Losses are those of `film_changes`, against the first post-operative height. "Last" is the last film
    that tells the measure, with its day beside it; "worst" the greatest loss. A treatment without a date has no clock:
    all of it is missing, and films tell only of its cleft.

    *Angles*. Kyphosis is as recorded, over the levels that the registry measures. The wedge angle of the body needs a
    column beyond the canonical ones: `wedge_deg_before` and `wedge_deg_after` are taken as they are, else `depth_mm`
    (depth of the body between the two heights) gives it from the heights; with neither it is missing.

    Raises DefinitionError for a junction that names no level or runs upwards; RegistryError for a row whose patient or
    level does not exist, a leak that is no route, or text in a carried column of numbers.

    >>> day = pd.to_datetime
    >>> tables = {
    ...     "patients": pd.DataFrame({"patient_id": ["a"], "follow_up_end": day(["2022-01-01"])}),
    ...     "imaging": pd.DataFrame({"patient_id": ["a"], "date": day(["2020-06-01"]), "level": ["L1"],
    ...                              "anterior_mm": [18.0]}),
    ... }
    >>> treated = pd.DataFrame({
    ...     "augmentation_id": ["k"], "patient_id": ["a"], "date": day(["2020-01-01"]), "level": ["L1"],
    ...     "anterior_mm_before": [15.0], "anterior_mm_after": [20.0], "anterior_mm_reference": [25.0],
    ...     "leak": ["disc_superior"]})
    >>> found = measures(tables, treated, JudgementRules())
    >>> found[["anterior_compression_before", "anterior_restoration_ratio", "anterior_loss_last"]].values.tolist()
    [[0.4, 0.5, 0.1]]
    >>> found[["leak_disc_above", "leak_venous", "thoracolumbar"]].values.tolist()
    [['T12-L1', 'no', 'yes']]
    """
    frame = as_arrays.table({"augmentations": augmentations.reset_index(drop=True)}, "augmentations")
    patients = Patients.of(as_arrays.table(tables, "patients"))
    treated = _Treated.of(frame, patients)
    imaging = as_arrays.table(tables, "imaging")
    imaged = films(imaging, patients)
    on_film = _film_heights(imaged, imaging, patients)
    before, after = (
        Heights(*(numbers(frame[f"{c}_mm_{when}"]) for c in COLUMNS_OF_BODY)) for when in ("before", "after")
    )
    expected = Heights(
        numbers(frame["anterior_mm_reference"]),
        *_expected_from_neighbours(
            treated, imaged, on_film, as_arrays.table(tables, "fractures"), patients, judgement.baseline_days
        ),
    )
    n_thoracic, n_lumbar = patients.n_thoracic[treated.patient], patients.n_lumbar[treated.patient]
    cleft_later = treated.most_told(imaged)
    leaks = leak_routes.leak_findings(frame["leak"])
    grade, shape = genant(before, expected)
    patterns = AUGMENTATIONS["cement_pattern"].vocabulary
    found = {
        "augmentation_id": frame["augmentation_id"],
        "patient_id": frame["patient_id"],
        "level": words(treated.code, spine.LEVELS),
        **_heights(before, after, expected),
        **_angles(frame, before, after),
        **_at_follow_up(treated, frame, imaging, imaged, on_film, expected, patients, judgement),
        "genant_grade_before": words(grade, GRADES),
        "genant_shape_before": words(shape, SHAPES),
        **leaks,
        **leak_routes.leaked_discs(leaks, treated.place, n_thoracic, n_lumbar),
        "cleft_state": leak_routes.cleft_state(frame["cleft_before"], frame["cleft_filled"], cleft_later),
        "cleft_at_follow_up": words(np.array([_FINDING_OF[k] for k in range(4)])[cleft_later], FINDING),
        **leak_routes.endplates(frame),
        "cement_pattern": words(codes(frame["cement_pattern"], patterns), patterns),
        "volume_ml": numbers(frame["volume_ml"]),
        "thoracolumbar": yes_no(spine.holds(_junction(junction, n_thoracic, n_lumbar), treated.place)),
    }
    return pd.DataFrame(found)[[*KEYS, *(formula.column for formula in FORMULAS)]]


@dataclass(frozen=True)
class _Treated:
    """The treated vertebrae as arrays, shape (n,), in the order given; day is BEFORE_INDEX where there is none."""

    patient: IntArray
    place: IntArray
    code: IntArray
    day: IntArray
    history: TreatedHistory

    @classmethod
    def of(cls, frame: pd.DataFrame, patients: Patients) -> _Treated:
        patient = patients.number(frame, "augmentations")
        place, code = patients.place(frame, "augmentations", patient)
        day = to_days(frame["date"])
        undated = (frame["date_precision"] == "before_index").to_numpy(dtype=bool) | (day == MISSING)
        day = np.where(undated, BEFORE_INDEX, day)
        n = np.arange(len(frame), dtype=np.int64)
        return cls(patient, place, code, day, TreatedHistory.of(patient, place, day, np.zeros_like(n), n))

    def __len__(self) -> int:
        return len(self.day)

    def first_day(self, patient: IntArray, place: IntArray) -> IntArray:
        """Day of the first augmentation of each vertebra, NEVER where there is none."""
        return np.append(self.history.day, NEVER)[
            self.history.first_from(patient, place, np.full(len(patient), BEFORE_INDEX))
        ]

    def most_told(self, imaged: Films) -> IntArray:
        """What films after each treatment, up to the next of its level, tell of a cleft: a state of `films.tells`."""
        result = np.full(len(self), MISSING_FINDING, dtype=np.int64)
        latest = self.history.latest(imaged.patient, imaged.place, imaged.day)
        has = latest >= 0
        np.maximum.at(result, self.history.row[latest[has]], imaged.cleft[has])
        return result


def _film_heights(imaged: Films, imaging: pd.DataFrame, patients: Patients) -> Heights:
    """The three heights on each film, the least of a day, aligned with `imaged`."""
    patient = patients.number(imaging, "imaging")
    place, _ = patients.place(imaging, "imaging", patient)
    film = imaged.line.at_or_after(key_of(patient, place), to_days(imaging["date"]))
    result = [np.full(len(imaged), np.nan) for _ in COLUMNS_OF_BODY]
    for values, name in zip(result, COLUMNS_OF_BODY, strict=True):
        np.fmin.at(values, film, numbers(imaging[f"{name}_mm"]))
    return Heights(*result)


def _expected_from_neighbours(
    treated: _Treated, imaged: Films, on_film: Heights, fractures: pd.DataFrame, patients: Patients, baseline_days: int
) -> tuple[FloatArray, FloatArray]:
    """Expected middle and posterior heights, by the rule of `measures`."""
    patient = patients.number(fractures, "fractures")
    place, _ = patients.place(fractures, "fractures", patient)
    packed = np.sort(pack(key_of(patient, place), to_days(fractures["date"])))
    earlier = np.searchsorted(packed, pack(imaged.line.key, np.full(len(imaged), BEFORE_INDEX)))
    intact = np.searchsorted(packed, imaged.line.packed, side="right") == earlier
    intact &= treated.first_day(imaged.patient, imaged.place) > imaged.day

    # Every film of an upper neighbour whose lower neighbour, two below, was filmed that day; the sacrum is none.
    n = len(imaged)
    sacrum = spine.CERVICAL + patients.n_thoracic[imaged.patient] + patients.n_lumbar[imaged.patient]
    partner = imaged.line.at_or_after(key_of(imaged.patient, imaged.place + 2), imaged.day)
    inside = np.minimum(partner, max(n - 1, 0))
    paired = (partner < n) & (imaged.place >= 1) & (imaged.place + 2 < sacrum)
    paired &= imaged.line.packed[inside] == pack(key_of(imaged.patient, imaged.place + 2), imaged.day)
    paired &= intact & intact[inside]

    centre = key_of(treated.patient, treated.place)
    untreated = treated.first_day(treated.patient, treated.place - 1) > treated.day
    untreated &= treated.first_day(treated.patient, treated.place + 1) > treated.day
    found = []
    for values in (on_film.middle, on_film.posterior):
        mean = (values + values[inside]) / 2
        upper = np.flatnonzero(paired & ~np.isnan(mean))
        line = Line.of(key_of(imaged.patient[upper], imaged.place[upper] + 1), imaged.day[upper])
        after = line.after(centre, treated.day)
        chosen = np.full(len(treated), -1, dtype=np.int64)
        for at, latest in ((after, treated.day + baseline_days), (after - 1, treated.day)):
            here = np.clip(at, 0, max(len(line) - 1, 0))
            usable: BoolArray = (at >= 0) & (at < len(line)) & untreated
            if len(line):
                usable &= (line.key[here] == centre) & (line.day[here] <= latest)
            chosen = np.where(usable, here, chosen)
        found.append(np.append(mean[upper], np.nan)[chosen])
    return found[0], found[1]


def _heights(before: Heights, after: Heights, expected: Heights) -> dict[str, FloatArray]:
    found = {}
    for name in COLUMNS_OF_BODY:
        was, became, should = (getattr(heights, name) for heights in (before, after, expected))
        found[f"{name}_expected_mm"] = should
        found[f"{name}_compression_before"] = compression(was, should)
        found[f"{name}_compression_after"] = compression(became, should)
        found[f"{name}_restoration_ratio"] = restoration(was, became, should)
        found[f"{name}_gain_mm"] = became - was
    for when, heights in (("before", before), ("after", after)):
        found[f"anterior_posterior_ratio_{when}"] = share(heights.anterior, heights.posterior)
        found[f"middle_posterior_ratio_{when}"] = share(heights.middle, heights.posterior)
    return found


def _angles(frame: pd.DataFrame, before: Heights, after: Heights) -> dict[str, FloatArray]:
    depth = _carried(frame, "depth_mm")
    found = {}
    for when, heights in (("before", before), ("after", after)):
        written = _carried(frame, f"wedge_deg_{when}")
        by_depth = wedge_angle_deg(heights.anterior, heights.posterior, depth)
        found[f"wedge_angle_deg_{when}"] = np.where(np.isnan(written), by_depth, written)
        found[f"kyphosis_deg_{when}"] = numbers(frame[f"kyphosis_deg_{when}"])
    return found | {"kyphosis_change_deg": found["kyphosis_deg_after"] - found["kyphosis_deg_before"]}


def _carried(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column of numbers beyond the canonical ones; NaN throughout where the registry does not carry it."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    values = pd.to_numeric(frame[name], errors="coerce")
    wrong = frame[name].notna() & values.isna()
    if wrong.any():
        raise RegistryError(
            f"augmentations: {int(wrong.sum())} values of the carried column {name} are no numbers, as "
            f"'{frame.loc[wrong, name].iloc[0]}'; write numbers, or leave the cells empty."
        )
    return numbers(values)


def _at_follow_up(
    treated: _Treated, frame: pd.DataFrame, imaging: pd.DataFrame, imaged: Films, on_film: Heights, expected: Heights,
    patients: Patients, judgement: JudgementRules,
) -> dict[str, FloatArray | pd.Categorical]:  # fmt: skip
    """What the films after treatment tell of heights and kyphosis, at the last and at the worst."""
    n, dated = len(treated), treated.day != BEFORE_INDEX
    changes = film_changes({"augmentations": frame[dated], "imaging": imaging}, judgement)
    patient = patients.number(changes, "imaging")
    place, _ = patients.place(changes, "imaging", patient)
    day = to_days(changes["date"])
    owner = treated.history.row[treated.history.latest(patient, place, day)]
    film = imaged.line.at_or_after(key_of(patient, place), day)
    days = numbers(changes["days_since"])
    loss, loss_mm, kyphosis = (
        numbers(changes[name]) for name in ("anterior_loss", "anterior_loss_mm", "kyphosis_change_deg")
    )
    grade, shape = genant(on_film.of(film), expected.of(owner))
    graded = np.where(grade < 0, np.nan, grade)

    def last(values: FloatArray, where: FloatArray) -> FloatArray:
        """The value on the last film of each treatment on which `where` is told; films come in order of days."""
        result = np.full(n, np.nan)
        told = np.flatnonzero(~np.isnan(where))
        result[owner[told]] = values[told]
        return result

    def worst(values: FloatArray) -> FloatArray:
        result = np.full(n, np.nan)
        np.fmax.at(result, owner, values)
        return result

    def coded(values: FloatArray, vocabulary: tuple[str, ...]) -> pd.Categorical:
        return words(np.nan_to_num(last(values, graded), nan=-1).astype(np.int64), vocabulary)

    return {
        "anterior_loss_last": last(loss, loss),
        "anterior_loss_mm_last": last(loss_mm, loss),
        "days_to_anterior_loss_last": last(days, loss),
        "anterior_loss_worst": worst(loss),
        "anterior_loss_mm_worst": worst(loss_mm),
        "kyphosis_change_last_deg": last(kyphosis, kyphosis),
        "days_to_kyphosis_change_last": last(days, kyphosis),
        "kyphosis_change_worst_deg": worst(kyphosis),
        "days_to_last_film": last(days, days),
        "n_films": np.where(dated, np.bincount(owner, minlength=n), np.nan),
        "genant_grade_last": coded(graded, GRADES),
        "genant_shape_last": coded(shape.astype(np.float64), SHAPES),
        "days_to_genant_last": last(days, graded),
    }


def _junction(junction: tuple[str, str], n_thoracic: IntArray, n_lumbar: IntArray) -> IntArray:
    try:
        return spine.range_at_risk(*junction, n_thoracic, n_lumbar)
    except DefinitionError as error:
        raise DefinitionError(str(error).replace("The range at risk", "The thoracolumbar junction")) from error
