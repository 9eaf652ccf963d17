"""All exposures in one model: who is likely to refracture, which says nothing of why.

In it a coefficient is what is left of a finding once what it leads to is held fixed as well: cement leaks into a disc
through a cleft, so that beside the leak the cleft loses what it does through it. For its effect read its own model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from cohort import estimate
from cohort.domain.errors import EstimationError
from cohort.pipeline.factors import effects
from cohort.pipeline.factors.missing import COMPLETE, IMPUTED, Filled
from cohort.pipeline.factors.rows import Factor, n_parameters, varies

LABEL: Final = "predictive, not causal"


def predictive_rows(
    units: pd.DataFrame, factors: Sequence[Factor], filled: Filled | None, confidence: float = 0.95
) -> pd.DataFrame:
    """Hazard ratios of every exposure and covariate in one model, of complete cases and of imputed data.

    units : as in `FactorRows`; filled : `Filled.of` the same, or None. `kind` says which terms are exposures, `model`
    is "predictive, not causal" throughout. Where maximum likelihood of complete cases has no finite value for a term,
    all of theirs are Firth's.
    """
    exposures = [factor.name for factor in factors]
    covariates = [name for factor in factors for name in factor.adjusted_for if name not in exposures]
    terms = [name for name in dict.fromkeys([*exposures, *covariates]) if varies(units[name])]
    labels = {factor.name: factor.exposure.label for factor in factors}
    analyses: list[tuple[str, pd.DataFrame]] = []
    try:
        analyses.append((COMPLETE, _fit(units.dropna(subset=terms), terms, confidence)))
    except EstimationError as error:
        analyses.append((COMPLETE, pd.DataFrame([{"term": "", "note": str(error)}])))
    if filled is not None and units[terms].isna().any(axis=None):
        analyses.append((IMPUTED, _imputed(filled, terms, confidence)))
    frame = pd.concat([part.assign(analysis=name) for name, part in analyses], ignore_index=True)
    return frame.assign(
        model=LABEL,
        kind=frame["term"].isin(exposures).map({True: "exposure", False: "covariate"}),
        label=frame["term"].map(labels).fillna(frame["term"]),
        parameters=float(n_parameters(units, terms)),
    )


def _fit(rows: pd.DataFrame, terms: list[str], confidence: float) -> pd.DataFrame:
    plain = effects.cox(rows, terms, confidence).frame
    if all(effects.finite(plain.iloc[[place]]) for place in range(len(plain))):
        return plain.assign(method="maximum likelihood")
    return effects.firth_cox(rows, terms, confidence).frame.assign(method="Firth")


def _imputed(filled: Filled, terms: list[str], confidence: float) -> pd.DataFrame:
    if not filled.frames:
        return pd.DataFrame([{"term": "", "note": filled.why}])
    try:
        pooled = estimate.pool(
            [effects.cox(frame, terms, confidence) for frame in filled.frames], confidence=confidence
        )
    except EstimationError as error:
        return pd.DataFrame([{"term": "", "note": str(error)}])
    return pooled.frame.assign(method="maximum likelihood")
