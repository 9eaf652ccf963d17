"""How studies are pooled, in words too, and on which scale: the way there, and the way back to what is read.

Proportions are pooled as log odds or, by Freeman and Tukey (1950, Ann Math Stat 21:607), as double arcsines, of which
the variance 1 / (4 n + 2) needs no event; read back with one size for all studies, their harmonic mean (Miller 1978,
Am Stat 32:138). Where sizes differ much no one size is right, and the result may lie outside all studies (Schwarzer and
others 2019, Res Synth Methods 10:476): `glmm` has no such way back. Rates and ratios are pooled as logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cohort.domain.clock import FloatArray
from cohort.estimate.meta_tau import MetaTest, Tau2Method

EffectMeasure = Literal["difference", "log_ratio"]
ProportionModel = Literal["glmm", "freeman_tukey", "logit"]
RateModel = Literal["glmm", "log"]
Prediction = Literal["hts", "as_test"]
Scale = Literal["identity", "log", "logit", "freeman_tukey"]

POINTS = 15  # of quadrature; metafor's 7 leave limits of a large tau squared two per cent off
SCALES: dict[Scale, str] = {
    "identity": "as given",
    "log": "logarithm",
    "logit": "log odds",
    "freeman_tukey": "double arcsine, read back with the harmonic mean of the sizes",
}
TAU2: dict[str, str] = {
    "reml": "restricted maximum likelihood",
    "ml": "maximum likelihood",
    "dl": "DerSimonian-Laird",
    "pm": "Paule-Mandel",
    "fixed": "one effect common to all studies",
}
TESTS: dict[str, str] = {
    "hksj": "Hartung-Knapp-Sidik-Jonkman, t with k - 1 degrees of freedom",
    "adhoc": "Hartung-Knapp-Sidik-Jonkman, variance not below the plain one, t with k - 1 degrees of freedom",
    "t": "t with k - 1 degrees of freedom",
    "z": "normal",
}


def double_arcsine(events: FloatArray, n: FloatArray) -> FloatArray:
    """Freeman and Tukey's transformation of events out of n, halved."""
    result: FloatArray = (np.arcsin(np.sqrt(events / (n + 1.0))) + np.arcsin(np.sqrt((events + 1.0) / (n + 1.0)))) / 2.0
    return result


def proportion_of(arcsine: FloatArray, n: npt.ArrayLike) -> FloatArray:
    """The proportion that has this double arcsine in a study of n (Miller 1978); 0 or 1 beyond the ends.

    >>> proportion_of(double_arcsine(np.array([3.0, 0.0, 20.0]), np.full(3, 20.0)), 20.0).round(12).tolist()
    [0.15, 0.0, 1.0]
    """
    size = np.asarray(n, dtype=np.float64)
    first, last = double_arcsine(np.zeros_like(size), size), double_arcsine(size, size)
    inside = np.clip(arcsine, first, last)
    sine = np.sin(2.0 * inside)
    # Between the ends the sine is not zero, and rounding may carry the square by a digit beyond one.
    squared = np.clip(1.0 - (sine + (sine - 1.0 / sine) / size) ** 2, 0.0, 1.0)
    found = 0.5 * (1.0 - np.sign(np.cos(2.0 * inside)) * np.sqrt(squared))
    return np.asarray(np.where(arcsine <= first, 0.0, np.where(arcsine >= last, 1.0, found)) + 0.0 * arcsine)


@dataclass(frozen=True)
class Recipe:
    """How studies are pooled. method : "glmm", or else by inverse variance. tau2 : its estimate (not of "glmm")."""

    measure: Literal["difference", "ratio", "proportion", "rate"]
    scale: Scale
    method: str
    tau2: Tau2Method
    test: MetaTest
    points: int
    prediction: Prediction
    confidence: float
    per: float = 1.0

    @property
    def by_likelihood(self) -> bool:
        """Counts are pooled by their own likelihood."""
        return self.method == "glmm"

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe in words."""
        what = {"proportion": "proportions", "rate": "rates"}.get(self.measure, "effects")
        likelihood = "random-intercept logit" if self.measure == "proportion" else "Poisson-normal"
        own_limits = {"proportion": "Clopper-Pearson", "rate": "Garwood"}.get(self.measure, "normal")
        model = f"{likelihood} model, maximum likelihood" if self.by_likelihood else "inverse variance"
        middle = "the study in the middle: its log odds or logarithm is the mean of all"
        return {
            "method": f"meta-analysis of {what}, {model}",
            "scale": self.scale,
            "scale_words": SCALES[self.scale],
            "per": self.per,
            "tau2_method": "maximum likelihood" if self.by_likelihood else TAU2[self.tau2],
            "tau2_limits": "profile likelihood" if self.by_likelihood else "Q-profile",
            "q_method": "likelihood ratio" if self.by_likelihood else "inverse variance (Cochran)",
            "test": TESTS[self.test],
            "prediction": (
                "t with k - 2 degrees of freedom (Higgins, Thompson and Spiegelhalter)"
                if self.prediction == "hts"
                else "quantiles of the test (as metafor's predict)"
            ),
            "study_limits": own_limits,
            "weight": (
                "of no use in the likelihood: inverse of tau2 plus the variance at the pooled value, for drawing"
                if self.by_likelihood
                else "share of the inverse variances"
            ),
            "reads": "the mean of the studies" if self.scale in ("identity", "freeman_tukey") else middle,
            "confidence": self.confidence,
            **({"points": self.points} if self.by_likelihood else {}),
        }
