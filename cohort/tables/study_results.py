"""Everything one study found, as tidy unrounded frames: what the pipeline hands to the report."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from cohort.tables.like_for_like import LikeForLike
from cohort.tables.results import Estimates, Registry
from cohort.tables.reviewed import Reviewed
from cohort.tables.risk_factors import RiskFactors


@dataclass(frozen=True)
class Quality:
    """What the data say of themselves; the columns are those that `pipeline.quality` gives.

    missing_by_site : gaps by site. heaping, digits : dates and measurements on convenient values. levels : how often
    each vertebra was treated and fractured. shifts : sites whose levels look moved. imaged_curve, imaged,
    imaged_at_risk : who was imaged by when. incomplete : patients, and the rows that made them so.
    """

    missing_by_site: pd.DataFrame = field(default_factory=pd.DataFrame)
    heaping: pd.DataFrame = field(default_factory=pd.DataFrame)
    digits: pd.DataFrame = field(default_factory=pd.DataFrame)
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)
    shifts: pd.DataFrame = field(default_factory=pd.DataFrame)
    imaged_curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    imaged: pd.DataFrame = field(default_factory=pd.DataFrame)
    imaged_at_risk: pd.DataFrame = field(default_factory=pd.DataFrame)
    incomplete: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Beyond:
    """What stands beside the main figures; the columns are those that the modules of `pipeline` named here give.

    definitions : `definitions`. policies : `policies`. misnumbered : `misnumbering`, with n_recorded, probability and
    repeats. ascertained, looks : `ascertainment` by exposure and by role. cascades, timing : `describe`.
    """

    definitions: pd.DataFrame = field(default_factory=pd.DataFrame)
    policies: pd.DataFrame = field(default_factory=pd.DataFrame)
    misnumbered: pd.DataFrame = field(default_factory=pd.DataFrame)
    ascertained: pd.DataFrame = field(default_factory=pd.DataFrame)
    looks: pd.DataFrame = field(default_factory=pd.DataFrame)
    cascades: pd.DataFrame = field(default_factory=pd.DataFrame)
    timing: pd.DataFrame = field(default_factory=pd.DataFrame)


def _nothing() -> Estimates:
    return Estimates(pd.DataFrame())


@dataclass(frozen=True)
class Further:
    """What comes after the first event, and whether the ratios hold; empty where nothing could be estimated.

    Every frame has outcome, n_patients, n_units, n_events, estimate, conf_low, conf_high, std_error and note where they
    apply, and besides:

    states : `courses.of_cohort`: outcome (the state), time, measure ("state_probability" at the windows,
        "mean_days_in_state" at the horizon), n_events (moves into the state by then), n_risk (in it before the day).
    transitions : `courses.transitions_of`: state_from, state_to, person_years, n_clusters_with_event; rates per 100
        patient-years.
    state_curves, in_states : the shares on every day with a move, with n_events_total; the patients in each state below
        them: outcome, time, n_risk.
    counts : `recurrence.counts_of`: outcome (relation or "any"), time, n_risk, n_events (episodes by then),
        n_clusters_with_event (patients with one); the estimate is the mean number per patient.
    count_curves, followed : the same on every day with an episode, with n_events_total and n_clusters_total; the
        patients followed below them: curve, time, n_risk.
    lost : `recurrence.time_lost`: outcome ("event_free", then the causes), time (the horizon), days.
    recurrent : `recurrence.recurrent_hazards`: clock, clock_label, exposure, label, adjusted_for, n_exposed_events.
    within : `hazard_shape.within`: model ("crude", "level"), n_informative_events, n_informative_patients, p_value.
    by_interval : `hazard_shape.by_interval`: outcome, exposure, label, measure ("hazard_ratio",
        "equality_over_intervals"), interval_start, interval_end, p_value.
    proportionality : `hazard_shape.proportionality`: outcome, exposure, label, statistic, df, p_value.
    onset : `onset_intervals.of_cohort`: dates ("found", "interval"), dates_label, measure ("survival",
        "hazard_ratio"), time or exposure and label.
    """

    states: Estimates = field(default_factory=_nothing)
    transitions: Estimates = field(default_factory=_nothing)
    state_curves: Estimates = field(default_factory=_nothing)
    in_states: pd.DataFrame = field(default_factory=pd.DataFrame)
    counts: Estimates = field(default_factory=_nothing)
    count_curves: Estimates = field(default_factory=_nothing)
    followed: pd.DataFrame = field(default_factory=pd.DataFrame)
    lost: Estimates = field(default_factory=_nothing)
    recurrent: Estimates = field(default_factory=_nothing)
    within: Estimates = field(default_factory=_nothing)
    by_interval: Estimates = field(default_factory=_nothing)
    proportionality: Estimates = field(default_factory=_nothing)
    onset: Estimates = field(default_factory=_nothing)


@dataclass(frozen=True)
class StudyResults:
    """The results of one study. Every frame is tidy and unrounded; fractions are fractions, times are days.

    registry : the registry as read: study definition, inputs with digests, accounting, rejected rows, warnings.
    period : first augmentation date and last `follow_up_end`; NaT where there is none.
    headline : key (patients, vertebrae, same, adjacent, remote, deaths), label, estimate, conf_low, conf_high,
        n_events, n, unit ("per cent", "patients", "vertebrae"), window_days. The outcomes are cumulative incidences.
    accounting : table, rows_read, rows_accepted, rows_rejected.
    problems : check, outcome (reject, blank, warn), table, column, n_rows, sentence.
    missingness : table, column, n_rows, n_missing, n_not_assessable; only columns that matter.
    flow_patients : the attrition: step, label, n_patients, n_vertebrae, n_sightings, excluded_patients, reason.
    flow_sightings : reason ("counted" or why not), relation, n_sightings, n_patients.
    table_one : variable, label, category ("" for numeric), unit ("patient", "treated vertebra"),
        kind ("numeric", "category"), n, denominator, mean, sd, median, q1, q3, n_missing, n_not_assessable.
    incidence : outcome, curve ("per_relation", "composite"), time, n_patients, n_events (by then), n_risk, estimate,
        std_error, conf_low, conf_high.
    curves : steps: outcome, curve, time, n_risk, estimate, conf_low, conf_high, n_events_total.
    at_risk : curve, time, n_risk: the numbers below the curves.
    proportions : outcome, time, n_events, n_patients (followed to the window), estimate, conf_low, conf_high (Wilson).
    rates : unit ("vertebra", "patient"), level ("" = all), role or outcome, n_events, person_years, n_patients,
        estimate, measure, conf_low, conf_high, std_error, variant ("main", "without_healed", ...).
    cox : outcome, exposure, term, label, model ("crude", "adjusted"), adjusted_for, n_patients, n_units, n_events,
        n_exposed_events, estimate (hazard ratio), conf_low, conf_high, coef, std_error, naive_std_error, p_value, note.
    logistic : the columns of `cox` with odds ratios at the horizon, and n_known, n_lost.
    mechanisms : mechanism, label, n_events, n_patients, n_total.
    judged : kind_judged, judged_cell, n_sightings, n_counted; same-level sightings.
    sensitivity : variant, label, group, is_main, outcome, time, n_patients, n_events, estimate, conf_low, conf_high.
    literature : the review's figures, each with the registry's own beside it and whether the two compare.
    settings : section, setting, value, default, description.
    onset : relation, relation_earliest, n.
    notes : sentences that must be read with the results.
    quality : what the data say of themselves.
    beyond : definitions, policies, misnumbered spines, looking and timing, beside the main figures.
    factors : risk factors of each relation under several questions, with checks, few events, missing findings, drugs
        and bias.
    further : states, counts of refractures, days lost; ratios of several events, within patients and by time.
    like_for_like : published figures of studies, each counted in the registry as its study counted.
    reviewed : the literature recomputed, pooled, and the registry among the studies.
    beside_effects : published ratios, each with the registry's own beside it and whether the two compare.
    """

    registry: Registry
    period: tuple[pd.Timestamp, pd.Timestamp]
    headline: pd.DataFrame
    accounting: pd.DataFrame
    problems: pd.DataFrame
    missingness: pd.DataFrame
    flow_patients: pd.DataFrame
    flow_sightings: pd.DataFrame
    table_one: pd.DataFrame
    incidence: Estimates
    curves: Estimates
    at_risk: pd.DataFrame
    proportions: Estimates
    rates: Estimates
    cox: Estimates
    logistic: Estimates
    mechanisms: pd.DataFrame
    judged: pd.DataFrame
    sensitivity: Estimates
    literature: pd.DataFrame
    settings: pd.DataFrame
    onset: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    quality: Quality = field(default_factory=Quality)
    beyond: Beyond = field(default_factory=Beyond)
    further: Further = field(default_factory=Further)
    factors: RiskFactors = field(default_factory=RiskFactors)
    like_for_like: LikeForLike = field(default_factory=LikeForLike)
    reviewed: Reviewed = field(default_factory=Reviewed)
    beside_effects: pd.DataFrame = field(default_factory=pd.DataFrame)
