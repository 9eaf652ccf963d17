"""The main job: everything the report shows, from a registry, in the order of a study."""

from __future__ import annotations

import pandas as pd

from cohort.domain.errors import EstimationError
from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.pipeline import (
    ascertainment,
    compared,
    courses,
    definitions,
    describe,
    hazard_shape,
    misnumbering,
    occurrence,
    onset_intervals,
    policies,
    quality,
    recurrence,
    risk,
    variants,
)
from cohort.pipeline.factors import of_cohort as risk_factors_of
from cohort.pipeline.stages import Cohort, Progress, check_accepted, prepare, settings_frame, where_possible
from cohort.tables.results import Registry
from cohort.tables.risk_factors import RiskFactors
from cohort.tables.study_results import Beyond, Further, StudyResults

HEADLINE_DAYS = 365
MANY_PATIENTS = 20_000


def analyse(registry: Registry, *, progress: Progress | None = None) -> StudyResults:
    """Run every stage of the study on a registry.

    Raises RegistryError when no patient was accepted, EstimationError when none gives time at risk.
    """
    say = progress or (lambda text: None)
    check_accepted(registry)
    say("Placing sightings among treated vertebrae")
    cohort = prepare(registry)
    risk.check_adjustment(cohort)
    say("Estimating incidence")
    incidence = occurrence.incidence(cohort)
    curves = occurrence.curves(cohort)
    say("Counting time at risk")
    rates = occurrence.rates(cohort)
    proportions = occurrence.proportions(cohort)
    say("Fitting hazard models")
    hazards = risk.hazards(cohort)
    odds = risk.odds(cohort)
    say("Asking each risk factor in several ways")
    factors = _factors(cohort, say)
    say("Following patients beyond the first event")
    further = _further(cohort)
    say("Repeating the main figures under other choices")
    sensitivity = variants.sensitivity(cohort)
    say("Repeating them under other definitions, clocks and numberings")
    beyond = _beyond(cohort)
    own = compared.Own(incidence, rates, proportions, hazards, odds, factors.effects, further.recurrent, further.within)
    published = compared.of_cohort(cohort, own, progress=say)
    return StudyResults(
        registry=registry,
        period=_period(cohort),
        headline=_headline(cohort, incidence.frame),
        accounting=registry.accounting,
        problems=describe.problems(registry),
        missingness=describe.missingness(registry),
        flow_patients=describe.flow_of_patients(cohort),
        flow_sightings=describe.flow_of_sightings(cohort),
        table_one=describe.table_one(cohort),
        incidence=incidence,
        curves=curves,
        at_risk=occurrence.numbers_at_risk(cohort),
        proportions=proportions,
        rates=rates,
        cox=hazards,
        logistic=odds,
        mechanisms=describe.mechanisms(cohort),
        judged=describe.judged(cohort),
        sensitivity=sensitivity,
        literature=published.review,
        settings=settings_frame(registry.study),
        onset=describe.onset(cohort),
        notes=_notes(cohort, hazards.frame),
        quality=quality.quality(cohort),
        beyond=beyond,
        further=further,
        factors=factors,
        like_for_like=published.alike,
        reviewed=published.reviewed,
        beside_effects=published.ratios,
    )


def _beyond(cohort: Cohort) -> Beyond:
    patients = len(cohort.tables["patients"])
    return Beyond(
        definitions=definitions.of_cohort(cohort),
        policies=policies.of_cohort(cohort).frame,
        # The draws differ less the more patients there are, and each repeats the classification.
        misnumbered=misnumbering.of_cohort(cohort, repeats=10 if patients <= MANY_PATIENTS else 2),
        ascertained=ascertainment.by_exposure(cohort),
        looks=ascertainment.by_role(cohort),
        cascades=describe.cascades(cohort),
        timing=describe.timing(cohort),
    )


def _further(cohort: Cohort) -> Further:
    return Further(
        states=where_possible(courses.of_cohort, cohort),
        transitions=where_possible(courses.transitions_of, cohort),
        state_curves=where_possible(courses.curves, cohort),
        in_states=courses.numbers_in_states(cohort),
        counts=where_possible(recurrence.counts_of, cohort),
        count_curves=where_possible(recurrence.count_curves, cohort),
        followed=recurrence.numbers_followed(cohort),
        lost=where_possible(recurrence.time_lost, cohort),
        recurrent=where_possible(recurrence.recurrent_hazards, cohort),
        within=where_possible(hazard_shape.within, cohort),
        by_interval=where_possible(hazard_shape.by_interval, cohort),
        proportionality=where_possible(hazard_shape.proportionality, cohort),
        onset=where_possible(onset_intervals.of_cohort, cohort),
    )


def _factors(cohort: Cohort, say: Progress) -> RiskFactors:
    """Risk factors of each relation; a registry of a few patients has none, and still has a report."""
    found = []
    for outcome in REFRACTURE_RELATIONS:
        try:
            found.append(risk_factors_of(cohort, outcome, progress=say))
        except EstimationError:
            continue
    return RiskFactors.together(found)


def _period(cohort: Cohort) -> tuple[pd.Timestamp, pd.Timestamp]:
    return cohort.tables["augmentations"]["date"].min(), cohort.tables["patients"]["follow_up_end"].max()


def _headline(cohort: Cohort, incidence: pd.DataFrame) -> pd.DataFrame:
    main = cohort.follow_up.loc[cohort.follow_up["in_main"], "patient_id"]
    vertebrae = int(cohort.augmentations["patient_id"].isin(main).sum())
    rows = [
        {"key": "patients", "label": "patients treated", "estimate": len(main), "n": len(main), "unit": "patients"},
        {"key": "vertebrae", "label": "vertebrae treated", "estimate": vertebrae, "n": vertebrae, "unit": "vertebrae"},
    ]
    at_year = incidence[incidence["time"] == HEADLINE_DAYS]
    wanted = (
        ("same", "per_relation", "same", "same-level refracture"),
        ("adjacent", "per_relation", "adjacent", "adjacent-level refracture"),
        ("remote", "per_relation", "remote", "remote refracture"),
        ("deaths", "composite", "death", "death before any refracture"),
    )
    for key, curve, outcome, label in wanted:
        found = at_year[(at_year["curve"] == curve) & (at_year["outcome"] == outcome)]
        if found.empty:
            continue
        row = found.iloc[0]
        rows.append(
            {
                "key": key,
                "label": label,
                "estimate": row["estimate"],
                "conf_low": row["conf_low"],
                "conf_high": row["conf_high"],
                "n_events": row["n_events"],
                "n": row["n_patients"],
                "unit": "per cent",
                "window_days": HEADLINE_DAYS,
            }
        )
    columns = ["key", "label", "estimate", "conf_low", "conf_high", "n_events", "n", "unit", "window_days"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _notes(cohort: Cohort, hazards: pd.DataFrame) -> list[str]:
    counted = cohort.sightings[cohort.sightings["counted"] == "yes"]
    notes = []
    implied, unproven = int((counted["implied"] == "yes").sum()), int((counted["onset_unproven"] == "yes").sum())
    if implied:
        notes.append(
            f"{implied:,} of {len(counted):,} counted refractures are implied by a later augmentation that nobody "
            "listed."
        )
    if unproven:
        notes.append(
            f"{unproven:,} of {len(counted):,} counted refractures lack a clear film near enough to prove their onset."
        )
    unjudged = counted[(counted["relation"] == "same") & (counted["kind_judged"] == "unjudged")]
    same = counted[counted["relation"] == "same"]
    if len(unjudged):
        from_films = int((unjudged["origin_of_row"] == "imaging").sum())
        notes.append(
            f"{len(unjudged):,} of {len(same):,} counted same-level refractures could not be judged, "
            f"{from_films:,} of them seen on films only."
        )
    patients = cohort.tables["patients"]
    late = int((patients["death_date"] > patients["follow_up_end"]).sum())
    if late:
        notes.append(
            f"{late:,} deaths lie after the end of follow-up and are no events; a sensitivity run closes with them."
        )
    few = hazards[hazards["note"].str.contains("in only", na=False)]
    if len(few):
        notes.append(
            f"{len(few)} hazard ratios rest on events in fewer than 20 patients; "
            "their intervals are too narrow to rely on."
        )
    return notes
