"""Estimators on counting-process rows: plain arrays inside, one tidy frame out."""

from cohort.estimate.cox import cox
from cohort.estimate.curves import aalen_johansen, kaplan_meier
from cohort.estimate.finegray import fine_gray
from cohort.estimate.glm import logistic, poisson
from cohort.estimate.ipcw import ipcw_logistic
from cohort.estimate.logrank import logrank
from cohort.estimate.ph import ph_test
from cohort.estimate.rates import proportion, rate, rate_by
from cohort.estimate.tableone import table_one

__all__ = [
    "aalen_johansen",
    "cox",
    "fine_gray",
    "ipcw_logistic",
    "kaplan_meier",
    "logistic",
    "logrank",
    "ph_test",
    "poisson",
    "proportion",
    "rate",
    "rate_by",
    "table_one",
]
