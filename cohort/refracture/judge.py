"""Same-level refracture is not settling: imaging and pain decide what a sighting at a treated vertebra is.

Height, kyphosis, cleft and edema of a film are compared with the first film after treatment, and pain with the lowest
score since; a row of `CELLS` is the first finding that is met, a column is what the pain did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray, FloatArray, IntArray, to_days
from cohort.domain.study import JudgementRules
from cohort.domain.treated import key_of, pack
from cohort.refracture.films import MISSING_FINDING, NO, YES, Films, tells
from cohort.refracture.lookup import Line, last_with, lowest_between, next_with
from cohort.refracture.numbered import Patients, numbers
from cohort.refracture.repeats import KIND
from cohort.refracture.treated import Treatments

PAIN: Final = ("worse", "not_worse", "unknown")
WORSE, NOT_WORSE, UNKNOWN_PAIN = range(3)

CELLS: Final[tuple[tuple[str, tuple[str, str, str]], ...]] = (
    ("collapse", ("progression", "asymptomatic_collapse", "unjudged")),
    ("partial_loss", ("unjudged", "settling", "unjudged")),
    ("edema", ("occult", "unjudged", "unjudged")),
)
CELL_NAMES: Final = tuple(f"{row}:{pain}" for row, _ in CELLS for pain in PAIN)
_KIND_OF_CELL = np.array([KIND[kind] for _, kinds in CELLS for kind in kinds])

# Heights are written to a tenth of a millimetre; in binary 26.0 to 22.1 is a hair less than 15 %, and is 15 % on paper.
_HAIR = 1e-9


@dataclass(frozen=True)
class Scores:
    """Pain scores by patient and day, in order; a day may have several.

    worst : the highest of the day. least : the lowest. several : whether the day has more than one score.
    """

    line: Line
    worst: FloatArray
    least: FloatArray
    several: BoolArray


@dataclass(frozen=True)
class Judgement:
    """One element per question (a film and the treatment it follows), shape (n,).

    film : place in Films, -1 where there is none. cell : place in CELL_NAMES, -1 where none is met. kind : code in
    KINDS_JUDGED. new_cleft, new_edema : NO, YES, or MISSING_FINDING where it cannot be told. anterior_loss (fraction),
    kyphosis_change_deg, pain_change (points; only where scores decided) : NaN where unknown. baseline : place of the
    film that the heights (else the kyphosis) are compared with, -1 where they are the treatment's own columns.
    """

    film: IntArray
    cell: IntArray
    kind: IntArray
    anterior_loss: FloatArray
    kyphosis_change_deg: FloatArray
    new_cleft: IntArray
    new_edema: IntArray
    pain_change: FloatArray
    baseline: IntArray

    def and_also(self, other: Judgement) -> Judgement:
        """These judgements followed by others."""
        return Judgement(*(np.concatenate([mine, other.__dict__[name]]) for name, mine in self.__dict__.items()))

    def of(self, rows: IntArray) -> Judgement:
        """The judgements of these rows."""
        return Judgement(*(values[rows] for values in self.__dict__.values()))


def unjudged(n: int) -> Judgement:
    """What is known where nothing was judged."""

    def filled(code: int) -> IntArray:
        return np.full(n, code, dtype=np.int64)

    return Judgement(
        film=filled(-1),
        cell=filled(-1),
        kind=filled(KIND["unjudged"]),
        anterior_loss=np.full(n, np.nan),
        kyphosis_change_deg=np.full(n, np.nan),
        new_cleft=filled(MISSING_FINDING),
        new_edema=filled(MISSING_FINDING),
        pain_change=np.full(n, np.nan),
        baseline=filled(-1),
    )


def pain_scores(assessments: pd.DataFrame, patients: Patients) -> Scores:
    """The recorded pain scores of the canonical assessments."""
    scored = assessments[assessments["pain"].notna()]
    patient, day, pain = patients.number(scored, "assessments"), to_days(scored["date"]), numbers(scored["pain"])
    order = np.lexsort((-pain, day, patient))
    patient, day, pain = patient[order], day[order], pain[order]
    first = np.ones(len(day), dtype=bool)
    first[1:] = (np.diff(patient) != 0) | (np.diff(day) != 0)
    last = np.append(first[1:], True)[: len(day)]
    return Scores(Line.of(patient[first], day[first]), pain[first], pain[last], ~(first & last)[first])


@dataclass(frozen=True)
class NewFractures:
    """Days of the sightings that the rows of `fractures` alone would keep: sorted, by patient and by vertebra."""

    by_patient: Line
    by_vertebra: Line

    @classmethod
    def of(cls, patient: IntArray, place: IntArray, day: IntArray) -> NewFractures:
        """From one element per kept sighting, in any order."""
        vertebra = key_of(patient, place)
        first, second = np.argsort(pack(patient, day), kind="stable"), np.argsort(pack(vertebra, day), kind="stable")
        return cls(Line.of(patient[first], day[first]), Line.of(vertebra[second], day[second]))

    def elsewhere(self, patient: IntArray, place: IntArray, day: IntArray, *, within: int) -> BoolArray:
        """Whether another vertebra of the patient was newly fractured at most `within` days off."""
        anywhere = self.by_patient.count_between(patient, day - within, day + within)
        here = self.by_vertebra.count_between(key_of(patient, place), day - within, day + within)
        return anywhere > here


_NONE = np.zeros(0, dtype=np.int64)
NO_FRACTURES: Final = NewFractures.of(_NONE, _NONE, _NONE)


@dataclass(frozen=True)
class Evidence:
    """What judgement rests on."""

    treated: Treatments
    films: Films
    scores: Scores
    fractures: NewFractures


def judge(
    evidence: Evidence, film: IntArray, treatment: IntArray, symptomatic: IntArray, rules: JudgementRules
) -> Judgement:
    """Judge films of treated vertebrae.

    film : place in evidence.films, -1 where there is no film. treatment : row in evidence.treated, before the film.
    symptomatic : NO, YES, or another state of `films.tells` where the registry does not say; overrides the scores.
    """
    result = unjudged(len(film))
    asked = np.flatnonzero(film >= 0)
    if not len(asked):
        return result
    f, u = film[asked], treatment[asked]
    frame, films = evidence.treated.frame, evidence.films
    treated_on = evidence.treated.day[u]

    tall, tall_film = _baseline(films, films.anterior_mm, numbers(frame["anterior_mm_after"])[u], f, treated_on, rules)
    bent, bent_film = _baseline(
        films, films.kyphosis_deg, numbers(frame["kyphosis_deg_after"])[u], f, treated_on, rules
    )
    tall = np.where(tall > 0, tall, np.nan)
    loss = (tall - films.anterior_mm[f]) / tall
    kyphosis_change = films.kyphosis_deg[f] - bent
    cleft = _new_cleft(films, f, treated_on, tells(frame["cleft_before"])[u], rules)
    edema = _new_edema(films, f, treated_on)

    collapse = (loss >= rules.progression_loss - _HAIR) | (cleft == YES)
    collapse |= kyphosis_change >= rules.progression_kyphosis_deg - _HAIR
    partial = loss >= rules.settling_loss - _HAIR
    kept_height = loss < rules.settling_loss - _HAIR
    row = np.select([collapse, partial, kept_height & (edema == YES)], [0, 1, 2], -1)

    change = _pain_change(evidence.scores, films, f, treated_on, numbers(frame["pain_after"])[u], rules)
    shared = evidence.fractures.elsewhere(
        films.patient[f], films.place[f], films.day[f], within=rules.other_fracture_days
    )
    change = np.where(shared | (symptomatic[asked] == YES) | (symptomatic[asked] == NO), np.nan, change)
    by_score = np.where(change >= rules.worse_pain_points - _HAIR, WORSE, NOT_WORSE)
    by_score = np.where(np.isnan(change), UNKNOWN_PAIN, by_score)
    pain = np.select([symptomatic[asked] == YES, symptomatic[asked] == NO], [WORSE, NOT_WORSE], by_score)

    cell = np.where(row >= 0, row * len(PAIN) + pain, -1)
    result.film[asked] = f
    result.cell[asked] = cell
    result.kind[asked] = np.where(cell >= 0, _KIND_OF_CELL[cell], KIND["unjudged"])
    result.anterior_loss[asked] = loss
    result.kyphosis_change_deg[asked] = kyphosis_change
    result.new_cleft[asked] = cleft
    result.new_edema[asked] = edema
    result.pain_change[asked] = change
    result.baseline[asked] = np.where(~np.isnan(tall), tall_film, bent_film)
    return result


def film_changed(films: Films, judgement: Judgement) -> tuple[BoolArray, BoolArray]:
    """Whether modality or posture differs between the film and its baseline film, and whether that is known."""
    changed = np.zeros(len(judgement.film), dtype=bool)
    known = changed.copy()
    both = np.flatnonzero((judgement.film >= 0) & (judgement.baseline >= 0))
    for how in (films.modality, films.posture):
        now, then = how[judgement.film[both]], how[judgement.baseline[both]]
        comparable = (now >= 0) & (then >= 0)
        known[both] |= comparable
        changed[both] |= comparable & (now != then)
    return changed, known


def _first_after_treatment(films: Films, film: IntArray, treated_on: IntArray) -> IntArray:
    """Place of the first film of the vertebra after its treatment."""
    return films.line.after(films.line.key[film], treated_on)


def _baseline(
    films: Films,
    measure: FloatArray,
    written: FloatArray,
    film: IntArray,
    treated_on: IntArray,
    rules: JudgementRules,
) -> tuple[FloatArray, IntArray]:
    """The value a measure is compared with, and the film it is from (-1: the treatment's own column, or none)."""
    first = next_with(~np.isnan(measure))[_first_after_treatment(films, film, treated_on)]
    inside = np.minimum(first, len(films) - 1)
    # A film is not compared with itself, and `film` bounds the search to its own vertebra.
    usable = (first < film) & (films.day[inside] <= treated_on + rules.baseline_days) & np.isnan(written)
    return np.where(usable, measure[inside], written), np.where(usable, first, -1)


def _new_cleft(
    films: Films, film: IntArray, treated_on: IntArray, cleft_before: IntArray, rules: JudgementRules
) -> IntArray:
    """A cleft not there before: YES, NO, or MISSING_FINDING where it cannot be told."""
    first = next_with(films.cleft != MISSING_FINDING)[_first_after_treatment(films, film, treated_on)]
    inside = np.minimum(first, len(films) - 1)
    recorded = (first < film) & (films.day[inside] <= treated_on + rules.baseline_days)
    return _appeared(films.cleft[film], np.where(recorded, films.cleft[inside], cleft_before))


def _new_edema(films: Films, film: IntArray, treated_on: IntArray) -> IntArray:
    """Edema that the latest film before did not have: YES, NO, or MISSING_FINDING where it cannot be told."""
    last = last_with(films.edema != MISSING_FINDING)[np.maximum(film - 1, 0)]
    earlier = (last >= _first_after_treatment(films, film, treated_on)) & (last < film)
    return _appeared(films.edema[film], np.where(earlier, films.edema[last], MISSING_FINDING))


def _appeared(now: IntArray, before: IntArray) -> IntArray:
    told = (now == NO) | ((now == YES) & (before == YES))
    return np.select([(now == YES) & (before == NO), told], [YES, NO], MISSING_FINDING).astype(np.int64)


def _pain_change(
    scores: Scores,
    films: Films,
    film: IntArray,
    treated_on: IntArray,
    pain_after: FloatArray,
    rules: JudgementRules,
) -> FloatArray:
    """The score after treatment nearest the film less the lowest other one before the film; NaN without either."""
    patient, day = films.patient[film], films.day[film]
    near = scores.line.nearest(patient, day, within=rules.pain_days, later_than=treated_on)
    start, stop = scores.line.after(patient, treated_on), scores.line.at_or_after(patient, day)
    before_film = (near >= start) & (near < stop)
    lowest = np.fmin(
        lowest_between(scores.least, start, np.where(near >= 0, np.minimum(stop, np.maximum(near, start)), stop)),
        lowest_between(scores.least, np.maximum(start, near + 1), stop),
    )
    # Of several scores on the nearest day the worst is the one compared, and the least is one of the others.
    shares_its_day = before_film & np.append(scores.several, False)[near]
    lowest = np.where(shares_its_day, np.fmin(lowest, np.append(scores.least, np.nan)[near]), lowest)
    lowest = np.fmin(lowest, pain_after)
    padded = np.append(scores.worst, np.nan)
    return np.where((near >= 0) & np.isfinite(lowest), padded[near] - np.where(np.isfinite(lowest), lowest, 0), np.nan)
