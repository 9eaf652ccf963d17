"""Everything one study found, as tidy unrounded frames: what the pipeline hands to the report."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from cohort.tables.results import Estimates, Registry


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
    literature : published figures, each with the registry's own beside it and whether the two compare.
    settings : section, setting, value, default, description.
    onset : relation, relation_earliest, n.
    notes : sentences that must be read with the results.
    quality : what the data say of themselves.
    beyond : definitions, policies, misnumbered spines, looking and timing, beside the main figures.
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
