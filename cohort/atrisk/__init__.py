"""Who was at risk, when, and exposed to what (docs/definitions.md, section 7)."""

from cohort.atrisk.ascertained import imaging_by_patient, last_looks, looks_by_role
from cohort.atrisk.bands import AGES, DAYS_SINCE, SPLITS, split_rows
from cohort.atrisk.baseline import baseline
from cohort.atrisk.clocks import changing_rows, procedure_rows, treated_vertebra_rows
from cohort.atrisk.eligibility import reasons as criteria_reasons
from cohort.atrisk.endpoints import ENDPOINTS, first_event_left_out, first_event_rows
from cohort.atrisk.exposures import height_restoration
from cohort.atrisk.followup import follow_up_table, left_out
from cohort.atrisk.guard import group_at_entry, looks_ahead, refuse_future_covariate, refuse_time_varying, require_fixed
from cohort.atrisk.medication import courses
from cohort.atrisk.persontime import person_time, person_time_by_patient
from cohort.atrisk.recurrent import recurrent_rows
from cohort.atrisk.spans import risk_windows
from cohort.atrisk.states import STATES, state_rows
from cohort.atrisk.vertebra import vertebra_rows

__all__ = [
    "AGES",
    "DAYS_SINCE",
    "ENDPOINTS",
    "SPLITS",
    "STATES",
    "baseline",
    "changing_rows",
    "courses",
    "criteria_reasons",
    "first_event_left_out",
    "first_event_rows",
    "follow_up_table",
    "group_at_entry",
    "height_restoration",
    "imaging_by_patient",
    "last_looks",
    "left_out",
    "looks_ahead",
    "looks_by_role",
    "person_time",
    "person_time_by_patient",
    "procedure_rows",
    "recurrent_rows",
    "refuse_future_covariate",
    "refuse_time_varying",
    "require_fixed",
    "risk_windows",
    "split_rows",
    "state_rows",
    "treated_vertebra_rows",
    "vertebra_rows",
]
