"""The measures of a treated vertebra: from its heights and angles, with the formula, unit and source of each.

Heights are millimetres, angles degrees, ratios and losses fractions (0.25 is 25 %). What cannot be told is NaN: a
height that is not recorded, a reference that is not above zero. A height of 0 is a value like any other.

References, and how each was read ([src] beyond the abstract, [abs] abstract, [sec] a secondary text, [unconfirmed]
common use, not confirmed by a source read):

1. McKiernan 2003, Reporting height restoration in vertebral compression fractures, Spine 28:2517-21 [abs]: four ways
   of reporting one restoration (mm; of the height before; of the lost height; of the reference) differ almost fourfold,
   and all three columns should be given.
2. Hsu 2019, Appl Bionics Biomech 4021640 [abs]: height compression in percent against the same column of the levels
   above and below, and a "vertebral compression ratio" that shows less: the word alone does not fix the reference.
3. Wang 2019, Quant Imaging Med Surg, 10.21037/qims.2019.02.04 [src], on Genant 1993 [sec]: grade 0 below 20 %, grade 1
   20-25 %, grade 2 25-40 %, grade 3 above 40 %. ACR/RSNA common data element RDES150 [sec]: grade 3 "40 % or greater".
4. J Orthop Surg Res 2023, s13018-023-03758-w, table 1 [src]: wedge ratio = anterior / posterior height, by grade.
5. Vertebral height ratios in three European centres, ndorms.ox.ac.uk/publications/125986 [abs]: Ha/Hp for wedge, Hc/Hp
   for biconcavity, Hp against the posterior heights of the vertebrae above and below for compression.
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
from cohort.refracture.films import MISSING_FINDING, NO, NOT_ASSESSABLE, YES, Films, films
from cohort.refracture.heights import film_changes
from cohort.refracture.lookup import Line
from cohort.refracture.numbered import Patients, codes, numbers, words, yes_no
from cohort.tables.schema import AUGMENTATIONS

KEYS: Final = ("augmentation_id", "patient_id", "level")
COLUMNS_OF_BODY: Final = ("anterior", "middle", "posterior")
GRADES: Final = ("0", "1", "2", "3")
SHAPES: Final = ("wedge", "biconcave", "crush")
WEDGE, BICONCAVE, CRUSH = range(len(SHAPES))

# Heights are written to a tenth of a millimetre; in binary 20.0 of 25.0 is a hair off 20 %, and is 20 % on paper.
_HAIR: Final = 1e-9
_FINDING_OF: Final = {MISSING_FINDING: -1, NOT_ASSESSABLE: FINDING.index("not_assessable"), NO: 0, YES: 2}


@dataclass(frozen=True)
class Formula:
    """One column of `measures`: its formula in words, its unit, and the source with how it was read."""

    column: str
    formula: str
    unit: str
    source: str


@dataclass(frozen=True)
class Heights:
    """Heights of the three columns of vertebral bodies, mm, float64, shape (n,); NaN where unknown."""

    anterior: FloatArray
    middle: FloatArray
    posterior: FloatArray

    def of(self, rows: IntArray) -> Heights:
        """The heights of these rows."""
        return Heights(*(values[rows] for values in self.__dict__.values()))


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """part / whole, NaN where the whole is unknown or not above zero.

    >>> share(np.array([18.0, 18.0]), np.array([24.0, 0.0])).tolist()
    [0.75, nan]
    """
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def compression(height: FloatArray, expected: FloatArray) -> FloatArray:
    """Share of the expected height that is lost, (expected - height) / expected; negative where the body is taller.

    The field writes the same as height / expected, which is one less this; the share lost is what grades are along.

    >>> compression(np.array([18.0, 25.0]), np.array([24.0, 20.0])).tolist()
    [0.25, -0.25]
    """
    return share(expected - height, expected)


def restoration(before: FloatArray, after: FloatArray, expected: FloatArray) -> FloatArray:
    """Share of the lost height won back, (after - before) / (expected - before); NaN unless expected > before.

    The third of the four ways of reference 1. Negative where height was lost, above 1 where over-corrected.

    >>> restoration(np.array([18.0, 24.0]), np.array([21.0, 25.0]), np.array([24.0, 24.0])).tolist()
    [0.5, nan]
    """
    lost = expected - before
    return share(after - before, np.where(lost > _HAIR, lost, np.nan))


def wedge_angle_deg(anterior: FloatArray, posterior: FloatArray, depth: FloatArray) -> FloatArray:
    """Angle between the endplates, 2 atan((posterior - anterior) / (2 depth)), degrees; positive is kyphotic.

    depth : between the two heights, mm, for a body that is symmetric about its middle. NaN unless depth > 0.

    >>> wedge_angle_deg(np.array([18.0]), np.array([28.0]), np.array([30.0])).round(2).tolist()
    [18.92]
    """
    return np.degrees(2 * np.arctan(share(posterior - anterior, 2 * depth)))


def genant(height: Heights, expected: Heights) -> tuple[IntArray, IntArray]:
    """Genant's grade by height lost and the shape of the deformity; codes in GRADES and SHAPES, -1 where untold.

    *Grade*: of the greatest loss among the columns: 0 below 20 %, 1 from 20 to 25 %, 2 above 25 to 40 %, 3 above 40 %,
    each within 1e-9. The published ranges share their ends; since grade 3 is *above* 40 % (reference 3), the upper end
    belongs to the lower grade at 25 % too. Anterior and middle are compared with their expected heights, else with the
    posterior wall of the same body, the classical internal reference; the posterior wall with its expected height only.
    A grade is told where anterior and middle both are, or where one column has lost more than 40 %, which nothing
    raises. Grade 0 also needs an expected height of some column, since a crushed body keeps its proportions.

    *Shape*: of the column that has lost most: anterior wedge, middle biconcave, posterior crush. Columns are comparable
    against one kind of reference only: expected heights where all three columns have them; else the posterior wall,
    which tells wedge from biconcave where it shows a loss of 20 % or more, and otherwise leaves the shape untold (low
    against its neighbours and not against its own posterior wall may be a crush). Equal losses of all columns are a
    crush, equal anterior and middle ones a wedge: a biconcave body is lowest in the middle. Grade 0 has no shape.

    >>> height = Heights(np.array([18.0, 18.0]), np.array([20.0, 18.0]), np.array([27.0, 18.0]))
    >>> expected = Heights(np.array([24.0, 24.0]), np.array([24.0, 24.0]), np.array([27.0, 24.0]))
    >>> grade, shape = genant(height, expected)
    >>> [(GRADES[g], SHAPES[s]) for g, s in zip(grade, shape)]
    [('1', 'wedge'), ('1', 'crush')]
    """
    own = {name: compression(getattr(height, name), getattr(expected, name)) for name in COLUMNS_OF_BODY}
    wall = {name: compression(getattr(height, name), height.posterior) for name in ("anterior", "middle")}
    used = {name: np.where(np.isnan(own[name]), wall[name], own[name]) for name in wall}
    greatest = np.fmax(np.fmax(used["anterior"], used["middle"]), own["posterior"])
    grade = np.select([greatest > 0.40 + _HAIR, greatest > 0.25 + _HAIR, greatest >= 0.20 - _HAIR], [3, 2, 1], 0)
    both = ~np.isnan(used["anterior"]) & ~np.isnan(used["middle"])
    by_neighbours = ~np.isnan([own[name] for name in COLUMNS_OF_BODY])
    told = (grade == 3) | (both & ((grade > 0) | by_neighbours.any(axis=0)))

    most = np.maximum(np.maximum(own["anterior"], own["middle"]), own["posterior"])  # NaN unless all three are told
    deepest = np.maximum(wall["anterior"], wall["middle"])
    shape = np.select(
        [
            own["posterior"] >= most - _HAIR,
            own["anterior"] >= most - _HAIR,
            by_neighbours.all(axis=0),
            (deepest >= 0.20 - _HAIR) & (wall["anterior"] >= deepest - _HAIR),
            deepest >= 0.20 - _HAIR,
        ],
        [CRUSH, WEDGE, BICONCAVE, WEDGE, BICONCAVE],
        -1,
    )
    grade = np.where(told, grade, -1).astype(np.int64)
    return grade, np.where(grade > 0, shape, -1).astype(np.int64)


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


# fmt: off
def _formulas() -> tuple[Formula, ...]:
    """The columns of `measures` beyond its keys, in their order."""
    common = "common use [unconfirmed]"
    neighbours = "Hsu 2019 [abs]: the same column of the levels above and below; their mean: " + common
    restored = "McKiernan 2003 [abs], relative to lost height; AVHRR: PMC7427078 [abs], its formula " + common
    wall = ("wedge ratio: J Orthop Surg Res 2023, s13018-023-03758-w [src, table 1]; as Beck index: " + common,
            "Hc/Hp: three European centres, ndorms.ox.ac.uk/publications/125986 [abs]")
    wedge = "geometry of a symmetric body; wedge angle: JOSR 2022 [abs]"
    judged = "docs/definitions.md, section 5; change since the first post-operative film: Yu W 2017 [abs]"
    grading = "Genant 1993 [sec], as in Wang 2019, 10.21037/qims.2019.02.04 [src]"
    rows = []
    for name in COLUMNS_OF_BODY:
        mean = f"mean {name} height of the intact vertebrae directly above and below, on one film"
        rows += [
            (f"{name}_expected_mm", "anterior_mm_reference, as recorded" if name == "anterior" else mean, "mm",
             neighbours),
            (f"{name}_compression_before", "(expected - before) / expected", "fraction", neighbours),
            (f"{name}_compression_after", "(expected - after) / expected", "fraction", neighbours),
            (f"{name}_restoration_ratio", "(after - before) / (expected - before), where expected > before", "fraction",
             restored),
            (f"{name}_gain_mm", "after - before", "mm", "McKiernan 2003 [abs], absolute restoration"),
        ]
    for when in ("before", "after"):
        rows += [
            (f"anterior_posterior_ratio_{when}", f"anterior / posterior height {when} treatment", "ratio", wall[0]),
            (f"middle_posterior_ratio_{when}", f"middle / posterior height {when} treatment", "ratio", wall[1]),
        ]
    rows += [
        *((f"wedge_angle_deg_{when}", f"wedge_deg_{when} as carried, else 2 atan((posterior - anterior) / (2 depth)) "
           "with depth_mm as carried; positive is kyphotic", "degrees", wedge) for when in ("before", "after")),
        *((f"kyphosis_deg_{when}", "as recorded", "degrees", "docs/definitions.md, section 1; Cobb [sec]")
          for when in ("before", "after")),
        ("kyphosis_change_deg", "after - before; negative is corrected", "degrees", "reduction angle: Yu 2017 [abs]"),
        ("anterior_loss_last", "(first post-operative height - height) / first post-operative height, at the last film",
         "fraction", judged),
        ("anterior_loss_mm_last", "first post-operative height - height, at that film", "mm",
         judged + "; in mm: Yamada 2023 [abs]"),
        ("days_to_anterior_loss_last", "days from treatment to that film", "days", judged),
        ("anterior_loss_worst", "the greatest such loss on any film, as a fraction", "fraction", judged),
        ("anterior_loss_mm_worst", "the greatest such loss on any film", "mm", judged),
        ("kyphosis_change_last_deg", "kyphosis at the last film - first post-operative kyphosis", "degrees", judged),
        ("days_to_kyphosis_change_last", "days from treatment to that film", "days", judged),
        ("kyphosis_change_worst_deg", "the greatest such change on any film", "degrees", judged),
        ("days_to_last_film", "days from treatment to the last film of the level up to its next treatment", "days",
         judged),
        ("n_films", "days with a film of the level after treatment and up to its next one", "count", judged),
    ]
    for when, at in (("before", "before treatment"), ("last", "at the last film that tells it")):
        rows += [
            (f"genant_grade_{when}", f"of the greatest loss of a column, {at}: 0 below 20 %, 1 to 25 %, 2 to 40 %, "
             "3 above 40 %", "grade", grading),
            (f"genant_shape_{when}", f"of the column that has lost most, {at}: anterior wedge, middle biconcave, "
             "posterior crush; none for grade 0", "shape", grading),
        ]
    rows += [
        ("days_to_genant_last", "days from treatment to that film", "days", grading),
        *leak_routes.FORMULAS,
        ("thoracolumbar", "level within the junction, T11-L2 unless said otherwise, in the patient's own spine",
         "yes/no", "T10-L2 in sarcop2022, T12-L1 in Lin 2007 [abs]"),
    ]
    return tuple(Formula(*row) for row in rows)
# fmt: on


FORMULAS: Final = _formulas()
