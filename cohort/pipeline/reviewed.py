"""The literature recomputed beside a registry: only studies of one relation, tier and unit are pooled, or joined by it.

The registry joins as one more study, by its simple proportion at one year, which is counted as case series count. What
it does not share with the studies (window, definition) is said in `own.differs`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import literature
from cohort.estimate import proportion
from cohort.estimate.meta import meta_proportions
from cohort.literature.facts import TIER_WORDS
from cohort.literature.pool import PooledFacts
from cohort.literature.tables import as_printed
from cohort.pipeline import occurrence
from cohort.pipeline.reproduce import COLUMNS
from cohort.pipeline.stages import Cohort, under
from cohort.tables.results import Estimates
from cohort.tables.reviewed import Reviewed

FEWEST_STUDIES: Final = 3
ONE_YEAR: Final = 365
CELL: Final = ["relation", "tier", "unit"]
REGISTRY: Final = "registry"
_KEPT: Final = (
    "study", "citation", "year", "window_kind", "window_days", "counts", "arm", "figures", "derived", "n_events", "n",
    "source", "confidence",
)  # fmt: skip
_TEXT: Final = (
    "study", "study_key", "quantity", "part", "event_level", "unit", "measure", "outcome", "among", "share", "verdict",
    "reason", "basis", "source", "confidence",
)  # fmt: skip


@dataclass(frozen=True)
class _Published:
    """What the literature says by itself, the same for every registry."""

    reviewed: Reviewed
    pools: dict[tuple[str, str, str], PooledFacts]


def of_cohort(cohort: Cohort, proportions: Estimates | None = None) -> Reviewed:
    """The literature recomputed, and this registry among the studies that counted as it can count.

    proportions : `occurrence.proportions` of the cohort, where they are at hand.

    A registry whose share does not exist, or that has another unit, leaves the reason in `own` and no other row.
    """
    found = _published()
    main = occurrence.proportions(cohort) if proportions is None else proportions
    own = [_own(cohort, main, cell, pooled) for cell, pooled in found.pools.items()]
    joined, drawn = [], []
    # A handful of cells, whatever the registry.
    for row, pooled in zip(own, found.pools.values(), strict=True):
        if row["reason"] == "":
            together = _joined(row, pooled)
            joined.append(together)
            drawn.append(_toward(row, pooled, together))
    return replace(
        published(),
        own=pd.DataFrame(own),
        with_registry=Estimates(_stack(joined), found.reviewed.pooled.settings),
        toward=Estimates(_stack(drawn)),
    )


def reproduced() -> pd.DataFrame:
    """The figures of `reproduce_all`, as written by docs/build.py: running it takes far longer than a report.

    >>> found = reproduced()
    >>> len(found), sorted(found["verdict"].unique())
    (141, ['reproduced exactly', 'within rounding'])
    """
    frame = as_printed("reproduced")
    numbers = [name for name in COLUMNS if name not in _TEXT]
    frame[numbers] = frame[numbers].apply(pd.to_numeric).astype("float64")
    return frame


def published() -> Reviewed:
    """The literature recomputed and pooled, without a registry."""
    return _copied(_published().reviewed)


@cache
def _published() -> _Published:
    figures = literature.facts()
    cells = _cells(figures)
    pools = {
        (relation, tier, unit): literature.pool(relation, unit, tier)
        for relation, tier, unit in cells.loc[cells["pooled"] == "yes", CELL].itertuples(index=False)
    }
    told = literature.reconstructable()
    left = told.loc[told["reconstructable"] == "no", ["study_key", "quantity", "reason", "source", "confidence"]]
    cited = pd.concat([figures, literature.effects()])[["study_key", "citation", "year"]].drop_duplicates("study_key")
    studies, pooled, without, notes = [], [], [], []
    for cell, one in pools.items():
        frame = one.estimates.frame
        at = frame.loc[frame["row"] == "study", ["estimate", "conf_low", "conf_high", "weight", "shrunken"]]
        studies.append(_of(cell, pd.concat([one.studies[list(_KEPT)], at.reset_index(drop=True)], axis=1)))
        pooled.append(_of(cell, frame[frame["row"] != "study"]))
        if one.without_each is not None:
            without.append(_of(cell, one.without_each.frame))
        notes.append(_of(cell, pd.DataFrame({"note": list(one.notes)})))
    settings = next((one.estimates.settings for one in pools.values()), {})
    return _Published(
        Reviewed(
            audit=literature.audit(),
            recomputed=literature.recompute().merge(cited, on="study_key", how="left"),
            effects=literature.recompute_effects().merge(cited, on="study_key", how="left"),
            reproduced=reproduced().merge(cited, on="study_key", how="left"),
            not_reconstructed=left.merge(cited, on="study_key", how="left"),
            cells=cells,
            studies=_stack(studies),
            pooled=Estimates(_stack(pooled), settings),
            without_each=Estimates(_stack(without), settings),
            notes=_stack(notes),
        ),
        pools,
    )


def _cells(figures: pd.DataFrame) -> pd.DataFrame:
    """Relation, tier and unit of every published share of refracture, with how many studies can be pooled there."""
    counted = figures["event"].isin(["fracture", "reaugmentation"]) & figures["relation"].ne("none")
    shares = figures[counted & figures["kind"].eq("proportion") & figures["numerator"].notna()]
    rows = []
    for relation, tier, unit in shares[CELL].drop_duplicates().itertuples(index=False):
        table = literature.poolable(relation, unit, tier)
        rows.append((relation, tier, unit, table.loc[table["taken"], "study_key"].nunique()))
    frame = pd.DataFrame(rows, columns=[*CELL, "n_studies"])
    frame = frame[frame["n_studies"] > 0]
    order = {name: place for place, name in enumerate(("same", "adjacent", "remote", "any"))}
    frame = frame.assign(pooled=np.where(frame["n_studies"] >= FEWEST_STUDIES, "yes", "no"))
    return frame.sort_values(
        ["relation", "n_studies"], key=lambda c: c.map(order) if c.name == "relation" else -c, kind="stable"
    ).reset_index(drop=True)


def _own(cohort: Cohort, main: Estimates, cell: tuple[str, str, str], pooled: PooledFacts) -> dict[str, Any]:
    """The registry's own share of a cell, or why it has none."""
    relation, tier, unit = cell
    row: dict[str, Any] = dict(zip(CELL, cell, strict=True))
    row |= {"outcome": relation, "tier_counted": "", "same_tier": "", "window_days": np.nan, "n_events": np.nan}
    row |= dict.fromkeys(("n", "estimate", "conf_low", "conf_high"), np.nan) | {"differs": "", "reason": ""}
    if unit != "patient":
        return row | {"reason": f"The studies count by {unit.replace('_', ' ')}, and this share is one of patients."}
    counted: str = cohort.study.judgement.tier
    same_tier, frame = "not stated", main.frame
    if relation == "same" and tier != "unstated":
        if tier not in ("radiographic", "clinical"):
            return row | {"reason": f"The registry has no share of patients that counts as '{tier}' does."}
        if tier != counted:
            study = cohort.study.with_("judgement", tier=tier)
            frame = occurrence.proportions(under(cohort, study)).frame
        counted, same_tier = tier, "yes"
    windows = sorted(set(frame["time"]), key=lambda days: (abs(days - ONE_YEAR), days))
    found = frame[(frame["outcome"] == relation) & (frame["time"] == windows[0])].iloc[0]
    row |= {"tier_counted": counted, "same_tier": same_tier, "window_days": float(windows[0])}
    n_events, n = int(found["n_events"]), int(found["n_patients"])
    if n == 0:
        return row | {"reason": f"Nobody was followed to day {windows[0]} or fractured before it."}
    exact = proportion(n_events, n, method="exact").frame.iloc[0]
    return row | {
        "n_events": float(n_events), "n": float(n),
        **{name: float(exact[name]) for name in ("estimate", "conf_low", "conf_high")},
        "differs": " ".join(_differs(cohort, row, pooled)),
    }  # fmt: skip


def _differs(cohort: Cohort, row: dict[str, Any], pooled: PooledFacts) -> list[str]:
    """What the registry does not share with the studies, in sentences."""
    kinds, days = pooled.studies["window_kind"], pooled.studies["window_days"].dropna()
    said = []
    if not (kinds.eq("fixed") & pooled.studies["window_days"].eq(row["window_days"])).all():
        silent = int(kinds.eq("none").sum())
        span = f"{days.min():g} to {days.max():g} days" if len(days) else "no stated time"
        said.append(
            f"The registry counts to day {row['window_days']:g}, among those followed so far or fractured before; the "
            f"studies followed {span}{f', and {silent} of {len(kinds)} do not say how long' if silent else ''}."
        )
    if row["same_tier"] != "yes":
        looked = TIER_WORDS[row["tier_counted"]] if row["relation"] == "same" else "every recorded sighting"
        said.append(f"The studies do not say what it took to be a fracture; the registry counts {looked}.")
    elif row["tier_counted"] != cohort.study.judgement.tier:
        said.append(
            f"Counted here as the studies count ({TIER_WORDS[row['tier_counted']]}), which is not the registry's main "
            f"definition ({TIER_WORDS[cohort.study.judgement.tier]})."
        )
    untreated = int(pooled.studies["counts"].eq("untreated").sum())
    if row["relation"] == "any" and untreated:
        said.append(f"{untreated} of the studies leave treated vertebrae out; the registry counts them.")
    if row["relation"] == "adjacent" and cohort.study.relation.reach != 1:
        said.append(f"The registry takes vertebrae up to {cohort.study.relation.reach} levels away as adjacent.")
    return said


def _joined(row: dict[str, Any], pooled: PooledFacts) -> pd.DataFrame:
    """The studies pooled again with the registry as one more: its own row, the pooled one and the prediction.

    The same as `literature.with_registry`, without leaving every study out in turn once more.
    """
    mine = {"study": REGISTRY, "n_events": row["n_events"], "n": row["n"]}
    studies = pd.concat([pooled.studies[list(mine)], pd.DataFrame([mine])], ignore_index=True)
    method = "glmm" if pooled.method is None else pooled.method
    found = meta_proportions(
        studies, events="n_events", n="n", study="study", method=method, outcome=str(row["relation"])
    ).frame
    kept = found[(found["row"] != "study") | (found["study"] == REGISTRY)]
    return _of(_cell(row), kept.assign(row=kept["row"].replace("study", REGISTRY)))


def _toward(row: dict[str, Any], pooled: PooledFacts, together: pd.DataFrame) -> pd.DataFrame:
    """The registry's share drawn toward the studies without it, with the prior that draws it."""
    share, n = row["estimate"], row["n"]
    if 0 < share < 1:
        error = float(np.sqrt(share * (1 - share) / n))
        return _of(_cell(row), literature.toward_literature(share, error, pooled, outcome=str(row["relation"])).frame)
    # With no event or only events there is no error to weigh by: the model of all the studies has a value all the same.
    # The prior is the literature's, whatever is drawn toward it.
    prior = literature.toward_literature(0.5, 0.5, pooled, outcome=str(row["relation"])).frame.iloc[[0]]
    model = together[together["row"] == REGISTRY].iloc[0]
    limits = {name: row[name] for name in ("estimate", "conf_low", "conf_high")}
    none = "no event" if share == 0 else "every patient has the event"
    rows = [
        {"row": "registry", **limits, "note": ""},
        {"row": "shrunken", "estimate": model["shrunken"],
         "note": f"{none}: read from the model of all studies with the registry, which gives no interval"},
    ]  # fmt: skip
    shared = {"outcome": row["relation"], "measure": prior["measure"].iloc[0]}
    below = pd.DataFrame(rows).assign(**shared)
    return _of(_cell(row), pd.concat([prior.assign(weight=np.nan), below], ignore_index=True))


def _cell(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["relation"], row["tier"], row["unit"]


def _of(cell: tuple[str, str, str], frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with its cell in front."""
    rest = frame[[name for name in frame.columns if name not in CELL]].reset_index(drop=True)
    named = {name: [value] * len(rest) for name, value in zip(CELL, cell, strict=True)}
    return pd.concat([pd.DataFrame(named, columns=CELL), rest], axis=1)


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _copied(found: Reviewed) -> Reviewed:
    """The same in frames of its own, so that nobody changes what the next one gets."""
    each: dict[str, Any] = {one.name: getattr(found, one.name) for one in fields(found)}
    for name, one in each.items():
        each[name] = Estimates(one.frame.copy(), one.settings) if isinstance(one, Estimates) else one.copy()
    return Reviewed(**each)
