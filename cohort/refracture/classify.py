"""From tables to classified sightings: the order in which the rules of this stage apply to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import MISSING, NEVER, BoolArray, IntArray, to_dates
from cohort.domain.follow_up import follow_up
from cohort.domain.study import AtRiskSettings, JudgementRules, RelationRules
from cohort.domain.treated import key_of, pack
from cohort.refracture import counted, judge, mechanism
from cohort.refracture import numbered as as_arrays
from cohort.refracture.beyond import Cascade, cascade
from cohort.refracture.films import NO, YES, Films, films, tells_of
from cohort.refracture.implied import implied_by
from cohort.refracture.numbered import ObjectArray, Patients, words, yes_no
from cohort.refracture.relation import SAME, Relations, earliest_relation, relate
from cohort.refracture.repeats import KIND, any_yes_of_the_day, keep, sighting_order
from cohort.refracture.sightings import (
    IMPLIED,
    ORIGINS,
    RECORDED,
    Sightings,
    imaging_sightings,
    implied_sightings,
    recorded_sightings,
)
from cohort.refracture.staged import in_staged_window, retreats, staged_from
from cohort.refracture.treated import FOR_FRACTURE, Treatments, treatments


@dataclass(frozen=True)
class Classified:
    """What became of every sighting and every treated vertebra.

    sightings : one row per sighting, ordered by patient id as text, date, spine, id as text; SIGHTING_COLUMNS.
    augmentations : one row per treated vertebra: the canonical columns, `staged_from` (the day whose session it
        finishes, NaT where it is not staged) and `retreats` (an unstaged treatment, for fracture, of a treated level).
    """

    sightings: pd.DataFrame
    augmentations: pd.DataFrame


SIGHTING_COLUMNS = (
    "fracture_id", "patient_id", "date", "level", "implied", "repeat_of", "relation", "distance", "side", "sandwiched",
    "augmentation_id", "treated_for", "days_since", "relation_earliest", "kind_judged", "counted",
    "not_counted_because", "onset_unproven",
    "kept", "origin_of_row", "date_precision", "symptomatic", "trauma", "modality", "last_clear_date", "mechanisms",
    "judged_cell", "film_date", "anterior_loss", "kyphosis_change_deg", "new_cleft", "new_edema", "pain_change",
    "film_changed", "signed_distance", "n_treated", "cascade_of", "cascade_days", "cascade_length", "source_row",
)  # fmt: skip


def classify(
    tables: Mapping[str, pd.DataFrame],
    *,
    relation: RelationRules,
    judgement: JudgementRules,
    at_risk: AtRiskSettings,
) -> Classified:
    """Place every sighting of a fracture among the treated vertebrae, and say whether it counts as a refracture.

    tables : canonical tables by name; optional ones may be absent. Which unproven onsets enter a rate is the
    business of the stage that counts: `counted` does not depend on `at_risk.count_unproven`.

    Raises RegistryError for a row whose patient or level does not exist, DefinitionError for an impossible range.

    >>> from cohort.tables.schema import CANONICAL
    >>> day = pd.to_datetime
    >>> tables = {
    ...     "patients": pd.DataFrame({"patient_id": ["a"], "follow_up_end": day(["2022-01-01"])}),
    ...     "augmentations": pd.DataFrame(
    ...         {"augmentation_id": ["k"], "patient_id": ["a"], "date": day(["2020-01-01"]), "level": ["L1"]}),
    ...     "fractures": pd.DataFrame(
    ...         {"fracture_id": ["f"], "patient_id": ["a"], "date": day(["2020-06-01"]), "level": ["L2"]}),
    ... }
    >>> rules = dict(relation=RelationRules(), judgement=JudgementRules(), at_risk=AtRiskSettings())
    >>> classify(tables, **rules).sightings[["relation", "side", "days_since", "counted"]].values.tolist()
    [['adjacent', 'caudal', 152.0, 'yes']]
    """
    patients = Patients.of(as_arrays.table(tables, "patients"))
    treated = treatments(as_arrays.table(tables, "augmentations"), patients)
    imaged = films(as_arrays.table(tables, "imaging"), patients)
    listed, recorded = recorded_sightings(as_arrays.table(tables, "fractures"), patients, treated.history)

    begun = staged_from(treated, recorded, staged_days=relation.staged_days)
    found = listed
    if relation.implied:
        rows = implied_by(treated, begun, recorded, enrolled_on=patients.enrolled_on)
        found = found.and_also(implied_sightings(treated, rows))

    judged = judge.unjudged(len(found))
    if judgement.enabled:
        assessments = as_arrays.table(tables, "assessments")
        # Without a film nothing can be judged, and nobody asks what else was newly fractured.
        others = _new_fractures(listed, treated, relation) if len(imaged) else judge.NO_FRACTURES
        evidence = judge.Evidence(treated, imaged, judge.pain_scores(assessments, patients), others)
        found, judged = _judge_all(found, listed, evidence, judgement)

    where = relate(treated.history, found.patient, found.place, found.day, reach=relation.reach)
    is_treated = where.relation == SAME
    kept, repeat_of = keep(
        treated.history,
        found.patient,
        found.place,
        found.day,
        found.kind,
        is_treated,
        sighting_order(found.patient, found.place, found.day, found.implied, found.kind, found.id),
        healing_days=relation.healing_days,
        collapse_is_fracture=judgement.tier == "radiographic",
    )
    times = follow_up(
        enrolled_on=patients.enrolled_on,
        follow_up_end=patients.follow_up_end,
        death=patients.death,
        patient=treated.patient,
        day=treated.day,
        is_sacrum=treated.is_sacrum,
    )
    vertebrae_at_risk = spine.range_at_risk(
        at_risk.first_level, at_risk.last_level, patients.n_thoracic, patients.n_lumbar
    )
    reason = counted.first_reason(
        {
            "before_treatment": where.attributed < 0,
            "repeat": repeat_of >= 0,
            "old": found.kind == KIND["old"],
            "settling": found.kind == KIND["settling"],
            "asymptomatic_collapse": ~kept & (found.kind == KIND["asymptomatic_collapse"]),
            "staged": in_staged_window(treated, begun, found.patient, found.place, found.day),
            **counted.outside_follow_up(times, found.patient, found.day),
            "outside_levels": counted.outside_levels(vertebrae_at_risk, found.patient, found.place),
            "excluded_level": counted.excluded(
                as_arrays.table(tables, "excluded_levels"), patients, found.patient, found.place, found.day
            ),
        },
        len(found),
    )
    unproven = counted.onset_unproven(
        recorded=found.origin == RECORDED,
        counted=reason < 0,
        unjudged=found.kind == KIND["unjudged"],
        last_clear=found.last_clear,
        own_augmentation=np.where(is_treated, np.append(treated.day, MISSING)[where.attributed], MISSING),
        entry=times.entry[found.patient],
        onset_clear_days=relation.onset_clear_days,
    )
    causes = _mechanisms(found, where, reason < 0, treated, imaged, film_days=judgement.film_days)

    augmentations = treated.frame.assign(
        staged_from=to_dates(begun).to_numpy(), retreats=yes_no(retreats(treated, begun))
    )
    sightings = _frame(
        found, where, judged, patients, treated, imaged,
        kept=kept, repeat_of=repeat_of, reason=reason, unproven=unproven, mechanisms=causes,
        earliest=earliest_relation(
            treated.history, found.patient, found.place, found.last_clear, reach=relation.reach
        ),
        follows=cascade(found.patient, found.place, found.day, kept, within=relation.cascade_days),
    )  # fmt: skip
    return Classified(sightings, augmentations)


def _new_fractures(listed: Sightings, treated: Treatments, relation: RelationRules) -> judge.NewFractures:
    """The sightings that would be kept if only the rows of `fractures` were classified, with the registry's kinds."""
    history = treated.history
    kept, _ = keep(
        history,
        listed.patient,
        listed.place,
        listed.day,
        listed.kind,
        spine.holds(history.mask_before(listed.patient, listed.day), listed.place),
        sighting_order(listed.patient, listed.place, listed.day, listed.implied, listed.kind, listed.id),
        healing_days=relation.healing_days,
    )
    return judge.NewFractures.of(listed.patient[kept], listed.place[kept], listed.day[kept])


def _judge_all(
    found: Sightings, listed: Sightings, evidence: judge.Evidence, rules: JudgementRules
) -> tuple[Sightings, judge.Judgement]:
    """Judge the unjudged sightings of treated levels, and add what only the films show."""
    history, imaged = evidence.treated.history, evidence.films
    treatment = history.latest(found.patient, found.place, found.day)
    treated_on = np.append(evidence.treated.day, MISSING)[treatment]
    coming = history.first_from(found.patient, found.place, found.day)
    film = imaged.line.nearest(
        key_of(found.patient, found.place),
        found.day,
        within=rules.film_days,
        later_than=treated_on,
        no_later_than=np.append(evidence.treated.day, NEVER)[coming],
    )
    asked = (treatment >= 0) & (found.kind == KIND["unjudged"])
    judged = judge.judge(evidence, np.where(asked, film, -1), treatment, tells_of(found.symptomatic), rules)
    kind = np.where(asked, judged.kind, found.kind)
    found = Sightings(**{**found.__dict__, "kind": kind})

    treatment = history.latest(imaged.patient, imaged.place, imaged.day)
    sighted = judge.NewFractures.of(listed.patient, listed.place, listed.day).by_vertebra
    unlisted = sighted.count_between(imaged.line.key, imaged.day - rules.film_days, imaged.day + rules.film_days) == 0
    film = np.flatnonzero((treatment >= 0) & unlisted)
    unsaid = np.full(len(film), -1, dtype=np.int64)
    seen = judge.judge(evidence, film, treatment[film], tells_of(unsaid), rules)
    shows = np.flatnonzero(seen.cell >= 0)
    seen = seen.of(shows)
    return found.and_also(imaging_sightings(imaged, film[shows], seen.kind)), judged.and_also(seen)


def _mechanisms(
    found: Sightings,
    where: Relations,
    counts: BoolArray,
    treated: Treatments,
    imaged: Films,
    *,
    film_days: int,
) -> ObjectArray:
    """Mechanisms of counted refractures of vertebrae treated for fracture; None for every other sighting."""
    result = np.full(len(found), None, dtype=object)
    rows = np.flatnonzero(counts & (where.relation == SAME))
    rows = rows[treated.indication[where.attributed[rows]] == FOR_FRACTURE]
    if len(rows):
        failed = where.attributed[rows]
        cleft = mechanism.cleft_at_follow_up(imaged, treated, failed, found.day[rows], film_days=film_days)
        result[rows] = mechanism.mechanisms(treated.frame.iloc[failed], cleft)
    return result


def _frame(
    found: Sightings,
    where: Relations,
    judged: judge.Judgement,
    patients: Patients,
    treated: Treatments,
    imaged: Films,
    *,
    kept: BoolArray,
    repeat_of: IntArray,
    reason: IntArray,
    unproven: BoolArray,
    mechanisms: ObjectArray,
    earliest: IntArray,
    follows: Cascade,
) -> pd.DataFrame:
    """The sightings as printed, in order."""
    is_treated = where.relation == SAME
    after_treatment = where.attributed >= 0
    indication = np.append(treated.indication, -1)[where.attributed]
    film_day = np.append(imaged.day, MISSING)[judged.film]
    changed, change_known = judge.film_changed(imaged, judged)
    symptomatic, trauma = (
        any_yes_of_the_day(finding, kept, repeat_of, found.day) for finding in (found.symptomatic, found.trauma)
    )
    treatment_id = _named(as_arrays.texts(treated.frame["augmentation_id"]), where.attributed)
    columns: dict[str, Any] = {
        "fracture_id": found.id,
        "patient_id": patients.ids[found.patient],
        "date": to_dates(found.day).to_numpy(),
        "level": words(found.code, spine.LEVELS),
        "implied": yes_no(found.origin == IMPLIED),
        "repeat_of": _named(found.id, repeat_of),
        "relation": words(where.relation, outcomes.RELATIONS),
        "distance": where.distance,
        "side": words(where.side, outcomes.SIDES),
        "sandwiched": yes_no(where.sandwiched, after_treatment),
        "augmentation_id": treatment_id,
        "treated_for": words(np.where(is_treated, indication, -1), outcomes.INDICATIONS),
        "days_since": where.days_since,
        "relation_earliest": words(earliest, outcomes.RELATIONS),
        "kind_judged": words(found.kind, outcomes.KINDS_JUDGED),
        "counted": yes_no(reason < 0),
        "not_counted_because": words(reason, outcomes.NOT_COUNTED),
        "onset_unproven": yes_no(unproven),
        "kept": yes_no(kept),
        "origin_of_row": words(found.origin, ORIGINS),
        "date_precision": words(found.precision, outcomes.DATE_PRECISIONS),
        "symptomatic": words(symptomatic, outcomes.FINDING),
        "trauma": words(trauma, outcomes.FINDING),
        "modality": found.modality,
        "last_clear_date": to_dates(found.last_clear).to_numpy(),
        "mechanisms": mechanisms,
        "judged_cell": _named(np.array(judge.CELL_NAMES, dtype=object), judged.cell),
        "film_date": to_dates(film_day).to_numpy(),
        "anterior_loss": judged.anterior_loss,
        "kyphosis_change_deg": judged.kyphosis_change_deg,
        "new_cleft": yes_no(judged.new_cleft == YES, (judged.new_cleft == YES) | (judged.new_cleft == NO)),
        "new_edema": yes_no(judged.new_edema == YES, (judged.new_edema == YES) | (judged.new_edema == NO)),
        "pain_change": judged.pain_change,
        "film_changed": yes_no(changed, change_known),
        "signed_distance": where.signed_distance,
        "n_treated": where.n_treated,
        "cascade_of": _named(found.id, follows.follows),
        "cascade_days": follows.days,
        "cascade_length": follows.length,
        "source_row": found.source_row,
    }
    order = as_arrays.order_with_ties(pack(found.patient, found.day) * 32 + found.place, found.id)
    # Each column is put in order by itself, and none is copied into a common block.
    return pd.DataFrame({name: columns[name][order] for name in SIGHTING_COLUMNS}, copy=False)


def _named(names: ObjectArray, index: IntArray) -> ObjectArray:
    """The name at each index, None where it is -1."""
    result: ObjectArray = np.append(names, np.array([None], dtype=object))[index]
    return result
