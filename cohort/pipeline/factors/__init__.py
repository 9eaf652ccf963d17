"""Risk factors: one question at a time, and what could make each answer wrong."""

from cohort.pipeline.factors.question import effects_of, of_cohort, risk_factors

__all__ = ["effects_of", "of_cohort", "risk_factors"]
