"""The same vertebrae under published definitions of same-level refracture, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain.clock import BoolArray
from cohort.estimate import proportion
from cohort.estimate.report import quantile
from cohort.pipeline.stages import Cohort, prepare, under
from cohort.refracture.heights import film_changes
from cohort.tables.results import Registry

# Heights are written to a tenth of a millimetre; 26.0 to 22.1 is 15 % on paper, and a hair less in binary.
_HAIR: Final = 1e-9
TIERS: Final = {
    "radiographic": "Counted as a refracture, or a collapse without symptoms",
    "clinical": "Counted as a refracture",
    "retreated": "Treated again at the same level",
}


@dataclass(frozen=True)
class Published:
    """A published definition in numbers.

    loss (fraction of the baseline height), loss_mm, kyphosis_deg : least change that meets it, any of them; None where
    it is not part of the definition. any_loss : any loss of height at all. within_days : films up to this day only.
    last : only the last film counts.
    """

    key: str
    label: str
    source: str
    loss: float | None = None
    loss_mm: float | None = None
    kyphosis_deg: float | None = None
    any_loss: bool = False
    within_days: int | None = None
    last: bool = False


PUBLISHED: Final = (
    Published("yu2017", "Anterior loss of 15 % or more, or kyphosis up by 10 degrees or more, at the last film",
              "Yu W 2017, read in abstract", loss=0.15, kyphosis_deg=10.0, last=True),
    Published("lin2008", "Any loss of anterior height at the last film", "Lin WC 2008, read in abstract", any_loss=True,
              last=True),
    Published("yamada2023", "Anterior loss of 5 mm or more within 3 months", "Yamada 2023, read in abstract",
              loss_mm=5.0, within_days=91),
)  # fmt: skip


def by_definition(registry: Registry) -> pd.DataFrame:
    """How many treated vertebrae failed, by each published definition and by the three tiers of the registry.

    Unit: vertebra treated for fracture (or for a reason not recorded) on a known day; one treated again counts anew.
    The share is crude: of the vertebrae that the definition can be told of, whatever their follow-up. By a film
    definition these are the vertebrae measured after treatment and again; a change that is met decides alone, one that
    is not needs every measure of the definition. Intervals (logit) take the vertebrae of one patient together.

    Returns definition, label, source, n_treated, n (assessable), n_events, estimate, conf_low, conf_high.

    >>> import cohort
    >>> by_definition(cohort.read("data/cases")).query("definition == 'clinical'")[["n", "n_events"]].values.tolist()
    [[10, 4]]
    """
    return of_cohort(prepare(registry))


def of_cohort(cohort: Cohort) -> pd.DataFrame:
    """The same of a registry that is classified already."""
    rows = cohort.augmentations
    treated = rows[rows["date"].notna() & (rows["indication"].isna() | rows["indication"].eq("fracture"))]
    treated = treated.set_index("augmentation_id")
    patient = treated["patient_id"]
    changes = film_changes(cohort.tables, cohort.study.judgement)
    changes = changes[changes["augmentation_id"].isin(treated.index)]
    found = []
    for one in PUBLISHED:
        met, told = _met(one, changes)
        told = told.reindex(treated.index, fill_value=False)
        met = met.reindex(treated.index, fill_value=False)
        found.append((one.key, one.label, one.source, met[told], patient[told]))
    for tier, label in TIERS.items():
        failed = pd.Series(treated.index.isin(_failed(cohort, tier)), index=treated.index)
        found.append((tier, label, "docs/definitions.md, section 5", failed, patient))
    confidence = cohort.study.models.confidence
    return pd.DataFrame(
        [
            {
                "definition": key, "label": label, "source": source, "n_treated": len(treated), "n": len(met),
                "n_events": int(met.sum()), **_share(met.to_numpy(dtype=bool), clusters, confidence),
            }
            for key, label, source, met, clusters in found
        ]
    )  # fmt: skip


def _met(one: Published, changes: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """By augmentation: whether the definition is met, and whether it can be told."""
    rows = changes
    if one.within_days is not None:
        rows = rows[rows["days_since"] <= one.within_days]
    tests = [
        (rows["anterior_loss"], one.loss),
        (rows["anterior_loss_mm"], one.loss_mm),
        (rows["kyphosis_change_deg"], one.kyphosis_deg),
    ]
    asked = [(value, value >= least - _HAIR) for value, least in tests if least is not None]
    if one.any_loss:
        asked.append((rows["anterior_loss_mm"], rows["anterior_loss_mm"] > _HAIR))
    met = pd.concat([passed for _, passed in asked], axis=1).any(axis=1)
    known = pd.concat([value.notna() for value, _ in asked], axis=1).all(axis=1)
    told = met | known
    if one.last:
        # The last film that tells anything of it.
        rows, met, told = rows[told], met[told], told[told]
        final = ~rows["augmentation_id"].duplicated(keep="last")
        rows, met, told = rows[final], met[final], told[final]
    group = rows["augmentation_id"]
    return met.groupby(group).any(), told.groupby(group).any()


def _failed(cohort: Cohort, tier: str) -> pd.Index:
    if tier == "retreated":
        rows = cohort.augmentations
        dated = rows[rows["date"].notna()].sort_values(["date", "augmentation_id"], kind="stable")
        keys = [dated["patient_id"], dated["level"].astype(str)]
        again = dated["retreats"].eq("yes").groupby(keys).shift(-1, fill_value=False)
        return pd.Index(dated.loc[again.astype(bool), "augmentation_id"])
    sightings = under(cohort, cohort.study.with_("judgement", tier=tier)).sightings
    counted = sightings[sightings["counted"].eq("yes") & sightings["relation"].eq("same")]
    return pd.Index(counted["augmentation_id"].dropna())


def _share(met: BoolArray, clusters: pd.Series, confidence: float) -> dict[str, float]:
    """A proportion of vertebrae with a logit interval from the totals of the patients (exact where none or all met)."""
    n, events = len(met), int(met.sum())
    if events in (0, n):
        exact = proportion(events, n, method="exact", confidence=confidence).frame.iloc[0]
        return {name: float(exact[name]) for name in ("estimate", "conf_low", "conf_high")}
    share = events / n
    residual = pd.Series(met - share).groupby(clusters.to_numpy()).sum().to_numpy()
    groups = len(residual)
    if groups < 2:
        return {"estimate": share, "conf_low": np.nan, "conf_high": np.nan}
    error = np.sqrt((residual**2).sum() * groups / (groups - 1)) / n
    reach = quantile(confidence) * error / (share * (1 - share))
    logit = np.log(share / (1 - share))
    low, high = 1 / (1 + np.exp(-(logit - reach))), 1 / (1 + np.exp(-(logit + reach)))
    return {"estimate": share, "conf_low": float(low), "conf_high": float(high)}
