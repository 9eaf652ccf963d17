"""Estimators on counting-process rows: plain arrays inside, one tidy frame out."""

from cohort.estimate.absolute_risk import absolute_risk
from cohort.estimate.bootstrap import bootstrap
from cohort.estimate.bounds import interval_bounds
from cohort.estimate.by_interval import hazard_ratio_by_interval, time_transform
from cohort.estimate.contrasts import compare_curves
from cohort.estimate.counts import negative_binomial
from cohort.estimate.cox import cox
from cohort.estimate.curves import aalen_johansen, kaplan_meier, quantile_time
from cohort.estimate.evalue import e_value
from cohort.estimate.exact import exact_odds_ratio, exact_rate_ratio
from cohort.estimate.finegray import fine_gray
from cohort.estimate.firth import firth_logistic
from cohort.estimate.firth_cox import firth_cox
from cohort.estimate.gee import gee_logistic
from cohort.estimate.glm import logistic, poisson
from cohort.estimate.gray import gray_test
from cohort.estimate.imputation import impute
from cohort.estimate.influence import influence, martingale_residuals, schoenfeld_residuals, schoenfeld_smooth
from cohort.estimate.ipcw import ipcw_logistic
from cohort.estimate.lagged import lagged
from cohort.estimate.landmark import landmark
from cohort.estimate.logrank import logrank
from cohort.estimate.lost_time import time_lost
from cohort.estimate.meta import log_ratio, meta_effects, meta_proportions, meta_rates
from cohort.estimate.meta_influence import egger_test, funnel
from cohort.estimate.meta_influence import leave_one_out as leave_one_study_out
from cohort.estimate.meta_regression import meta_regression
from cohort.estimate.misclassification import corrected_ratio
from cohort.estimate.misclassified_records import corrected_estimates
from cohort.estimate.missing_patterns import missing_patterns
from cohort.estimate.mixed import mixed_logistic
from cohort.estimate.multistate import mean_time_in_states, state_probabilities, state_transitions
from cohort.estimate.negative_control import negative_control
from cohort.estimate.nelson_aalen import nelson_aalen
from cohort.estimate.parametric import weibull
from cohort.estimate.ph import ph_test
from cohort.estimate.pooling import impute_and_fit, pool
from cohort.estimate.prediction import concordance, prediction_accuracy
from cohort.estimate.rates import proportion, rate, rate_by
from cohort.estimate.recurrent import recurrent
from cohort.estimate.recurrent_counts import mean_cumulative_count
from cohort.estimate.shrinkage import shrink
from cohort.estimate.splines import functional_form, restricted_cubic_spline, wald_test
from cohort.estimate.standardized_ratio import observed_expected
from cohort.estimate.standardized_risk import standardized_risk
from cohort.estimate.tableone import table_one
from cohort.estimate.turnbull import turnbull
from cohort.estimate.within import within_patient

__all__ = [
    "aalen_johansen",
    "absolute_risk",
    "bootstrap",
    "compare_curves",
    "concordance",
    "corrected_estimates",
    "corrected_ratio",
    "cox",
    "e_value",
    "egger_test",
    "exact_odds_ratio",
    "exact_rate_ratio",
    "fine_gray",
    "firth_cox",
    "firth_logistic",
    "functional_form",
    "funnel",
    "gee_logistic",
    "gray_test",
    "hazard_ratio_by_interval",
    "impute",
    "impute_and_fit",
    "influence",
    "interval_bounds",
    "ipcw_logistic",
    "kaplan_meier",
    "lagged",
    "landmark",
    "leave_one_study_out",
    "log_ratio",
    "logistic",
    "logrank",
    "martingale_residuals",
    "mean_cumulative_count",
    "mean_time_in_states",
    "meta_effects",
    "meta_proportions",
    "meta_rates",
    "meta_regression",
    "missing_patterns",
    "mixed_logistic",
    "negative_binomial",
    "negative_control",
    "nelson_aalen",
    "observed_expected",
    "ph_test",
    "poisson",
    "pool",
    "prediction_accuracy",
    "proportion",
    "quantile_time",
    "rate",
    "rate_by",
    "recurrent",
    "restricted_cubic_spline",
    "schoenfeld_residuals",
    "schoenfeld_smooth",
    "shrink",
    "standardized_risk",
    "state_probabilities",
    "state_transitions",
    "table_one",
    "time_lost",
    "time_transform",
    "turnbull",
    "wald_test",
    "weibull",
    "within_patient",
]
