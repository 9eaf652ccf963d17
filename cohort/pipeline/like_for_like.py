"""Each published figure beside the registry's own estimate of the same thing: same event, unit, window and count.

A share that is crude in the study is counted crudely here, however unwise: loss and death then make as much of the
difference as they did there. What cannot be made alike is a sentence in `differs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from cohort import estimate
from cohort.domain.clock import BoolArray
from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition
from cohort.estimate.report import quantile
from cohort.literature import FigureDefinition, facts
from cohort.pipeline import definitions
from cohort.pipeline.like_for_like_arms import Arm, Arms
from cohort.pipeline.like_for_like_reading import Reading, reading, why_left_out
from cohort.pipeline.like_for_like_steps import steps_of
from cohort.pipeline.like_for_like_units import Asked, Counted, Share, clustered_share
from cohort.pipeline.stages import Cohort, prepare
from cohort.tables.like_for_like import (
    FIGURE_COLUMNS,
    LATE,
    LEFT_OUT_COLUMNS,
    NO_PRINTED_SIZE,
    NO_RATIO,
    PRINTED_INTERVAL,
    STEP_COLUMNS,
    LikeForLike,
)
from cohort.tables.results import Estimates, Registry

ASSUMED: Final = (
    "ratio of two independent shares, delta method on the log scale; the published units are taken as independent of "
    "each other, vertebrae of one patient too, and a printed per cent as a share of the printed denominator"
)
NOBODY: Final = "Nobody in the registry is counted by this definition, in this arm and until this day."
NOT_SO_LONG: Final = "Nobody in the registry is followed so long."
EVERY_EVENT: Final = "Every unit has the event, here or there, so the ratio has no interval."
NO_EVENT: Final = "No event in the registry under this definition."
_PUBLISHED: Final = (
    "study_key", "citation", "year", "quantity", "population", "event", "relation", "tier", "unit", "counting",
    "denominator_rule", "basis", "counts", "arm", "window_kind", "window_days", "numerator", "denominator", "percent",
    "placed", "source", "confidence",
)  # fmt: skip


def like_for_like(registry: Registry, figures: pd.DataFrame | None = None) -> LikeForLike:
    """The registry's own estimate of every published figure that is a share of refractures after augmentation.

    figures : rows of `cohort.literature.facts()`; all of them where None. Those that are no such share come back in
        `left_out` with the reason.

    Crude shares and shares of vertebrae have beta limits that take the patients as units (for patients those of Clopper
    and Pearson); curves have log-log limits. The classification is repeated under each definition.

    Raises DefinitionError where `figures` lacks a column of facts().

    >>> import cohort
    >>> found = like_for_like(cohort.read("data/cases"))
    >>> frame = found.figures.frame.set_index(["study_key", "quantity"])
    >>> row = frame.loc[("multifidus2022", "symptomatic adjacent OVCF within one year")]
    >>> int(row["n_events"]), int(row["n"]), row["measure"]
    (1, 2, 'share of the patients by day 365, of those followed so long or broken before')
    """
    return of_cohort(prepare(registry), figures)


def of_cohort(cohort: Cohort, figures: pd.DataFrame | None = None) -> LikeForLike:
    """The same of a registry that is classified already."""
    known = facts() if figures is None else figures
    lacking = [name for name in (*_PUBLISHED, *(one.name for one in fields(FigureDefinition))) if name not in known]
    if lacking:
        raise DefinitionError(
            f"The published figures lack the column '{lacking[0]}'; give rows of cohort.literature.facts()."
        )
    each = [FigureDefinition(**{one.name: row[one.name] for one in fields(FigureDefinition)})
            for row in known.to_dict("records")]  # fmt: skip
    reasons = [why_left_out(one, share) for one, share in zip(each, known["percent"], strict=True)]
    placed = np.array([reason == "" for reason in reasons], dtype=bool)
    left_out = known[~placed].assign(reason=[reason for reason in reasons if reason])
    chosen = [one for one, keep in zip(each, placed, strict=True) if keep]
    maker = _Maker(cohort, chosen)
    # The published figures are few and do not grow with the registry.
    rows = [maker.row(one, row) for one, row in zip(chosen, known[placed].to_dict("records"), strict=True)]
    frame = pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
    settings = {
        "method": "counted as each study counted; beta limits over patients, log-log limits of curves",
        "ratio": ASSUMED,
        "confidence": cohort.study.models.confidence,
        "study": cohort.study.digest,
    }
    return LikeForLike(
        Estimates(frame.astype(dict.fromkeys(_NUMBERS, "float64")), settings),
        pd.DataFrame(maker.steps, columns=list(STEP_COLUMNS)),
        left_out.reindex(columns=list(LEFT_OUT_COLUMNS)).reset_index(drop=True),
    )


_NUMBERS: Final = (
    "year", "window_days", "numerator", "denominator", "percent", "published", "published_low", "published_high",
    "registry_window_days", "n_events", "n", "n_patients", "n_events_all", "n_all", "estimate", "conf_low", "conf_high",
    "std_error", "ratio", "ratio_low", "ratio_high",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A published share with its limits and the standard error of its logarithm; fractions, NaN where unknown."""

    share: float
    low: float
    high: float
    log_error: float
    note: str

    @classmethod
    def of(cls, row: Mapping[Any, Any], confidence: float) -> Published:
        """From the printed counts where both are there, else from the printed per cent and whatever comes with it."""
        numerator, denominator, share = row["numerator"], row["denominator"], row["percent"] / 100
        low, high, note = float("nan"), float("nan"), ""
        if not (math.isnan(numerator) or math.isnan(denominator)):
            share = numerator / denominator
            exact = estimate.proportion(numerator, denominator, method="exact", confidence=confidence).frame.iloc[0]
            low, high = float(exact["conf_low"]), float(exact["conf_high"])
        elif not (math.isnan(row["ci_low"]) or math.isnan(row["ci_high"])):
            low, high, note = row["ci_low"] / 100, row["ci_high"] / 100, PRINTED_INTERVAL
        events = numerator if not math.isnan(numerator) else share * denominator
        error = math.sqrt((1 - share) / events) if events > 0 and share < 1 else float("nan")
        return cls(share, low, high, error, note or ("" if not math.isnan(events) else NO_PRINTED_SIZE))


class _Maker:
    """Makes one row after another from one registry, and the steps beside it."""

    def __init__(self, cohort: Cohort, chosen: list[FigureDefinition]) -> None:
        self.cohort, self.counted = cohort, Counted(cohort)
        self.arms = Arms(cohort, chosen)
        self.level = cohort.study.models.confidence
        self.everybody = np.ones(len(cohort.tables["patients"]), dtype=bool)
        self.has_films = bool(len(self.counted.films))
        self.steps: list[dict[str, Any]] = []
        self._found: dict[tuple[Any, ...], Share] = {}

    def row(self, one: FigureDefinition, row: Mapping[Any, Any]) -> dict[str, Any]:
        how, study = reading(one, self.cohort.study, has_films=self.has_films), one.study(self.cohort.study)
        arm = self.arms.of(one, lambda: self.refractured(study, how))
        everybody = self.share(study, how, None)
        own = everybody if arm.inside.all() else self.share(study, how, arm.inside)
        published = Published.of(row, self.level)
        if not how.is_share_of_fractures:
            self.steps += steps_of(self.counted, study, how, one, arm, everybody, own, published.share, row)
        return {
            **{name: row[name] for name in _PUBLISHED},
            "published": published.share,
            "published_low": published.low,
            "published_high": published.high,
            "measure": how.measure,
            "registry_window_days": how.window if math.isfinite(how.window) else float("nan"),
            "counted_as": how.counted_as,
            "n_events": own.n_events,
            "n": own.n,
            "n_patients": own.n_patients,
            "n_events_all": everybody.n_events,
            "n_all": everybody.n,
            "estimate": own.estimate,
            "conf_low": own.conf_low,
            "conf_high": own.conf_high,
            "std_error": own.std_error,
            **self._ratio(own, published),
            "differs": " ".join([*how.differs, *self._of_entry(study, how), *_of_arm(one, arm)]),
            "note": " ".join(dict.fromkeys(words for words in (_why_missing(own, published), published.note) if words)),
        }

    def _of_entry(self, study: StudyDefinition, how: Reading) -> list[str]:
        if how.is_share_of_fractures and math.isfinite(how.window):
            late = self.cohort.follow_up["entry_day"] > self.cohort.follow_up["origin_day"]
            return [LATE] if (late & self.cohort.follow_up["in_main"]).any() else []
        if how.rule is None or how.film or how.is_share_of_fractures:
            return []
        return [] if self.counted.units(study, how.asked, how.unit)["from_start"].all() else [LATE]

    def refractured(self, study: StudyDefinition, how: Reading) -> BoolArray:
        """Who has a new fracture of an untreated vertebra, counted as the figure counts fractures."""
        rows = self.counted.cohort(study, Asked("any", symptomatic=how.asked.symptomatic)).sightings
        new = rows["counted"].eq("yes") & rows["relation"].isin(["adjacent", "remote"])
        found: BoolArray = self.cohort.tables["patients"]["patient_id"].isin(rows.loc[new, "patient_id"]).to_numpy()
        return found

    def share(self, study: StudyDefinition, how: Reading, inside: BoolArray | None) -> Share:
        """The registry's share by one reading, of an arm or of everybody."""
        key = (how.counted_as, None if inside is None else inside.tobytes())
        if key not in self._found:
            self._found[key] = self._share(study, how, inside)
        return self._found[key]

    def _share(self, study: StudyDefinition, how: Reading, inside: BoolArray | None) -> Share:
        if how.film:
            return self._by_film(how.film, inside)
        if how.is_share_of_fractures:
            return self._of_fractures(study, how, inside)
        units = self.counted.units(study, how.asked, how.unit)
        if how.rule is None:
            return self.counted.incidence(units, how.window, inside)
        return self.counted.crude(units, how.window, how.rule, inside)

    def _by_film(self, film: str, inside: BoolArray | None) -> Share:
        """A published threshold of height or kyphosis, by the films of the vertebrae it can be told of.

        Only those of a patient's first procedure, since each such study enrolled patients once.
        """
        part = _of_patients(self.cohort, self.everybody if inside is None else inside)
        rows = part.augmentations
        first = rows["date"].eq(rows.groupby("patient_id")["date"].transform("min"))
        part = replace(part, augmentations=rows[first].reset_index(drop=True))
        found = definitions.of_cohort(part).set_index("definition").loc[film]
        share, n = float(found["estimate"]), float(found["n"])
        if not n:
            return Share(n_events=0.0, n=0.0)
        low, high = float(found["conf_low"]), float(found["conf_high"])
        error = float("nan")
        if 0 < low < share < high < 1:
            # The limits are symmetric on the logit scale.
            reach = math.log(high / (1 - high)) - math.log(low / (1 - low))
            error = reach / (2 * quantile(self.level)) * share * (1 - share)
        return Share(float(found["n_events"]), n, float("nan"), share, low, high, error)

    def _of_fractures(self, study: StudyDefinition, how: Reading, inside: BoolArray | None) -> Share:
        """The share of the counted new fractures that lie at the relation, or that came by the window."""
        cohort = self.counted.cohort(study, how.asked)
        rows, time = cohort.sightings, cohort.follow_up
        who = pd.Index(time["patient_id"]).get_indexer(rows["patient_id"])
        kept = time["in_main"].to_numpy(dtype=bool) & (self.everybody if inside is None else inside)
        new = rows["counted"].eq("yes") & rows["relation"].isin(["adjacent", "remote"])
        chosen = new.to_numpy(dtype=bool) & kept[who]
        since = rows["days_since"].to_numpy(dtype=np.float64)
        met = np.nan_to_num(since) <= how.window
        if math.isfinite(how.window):
            # Whether it came by a day is not known of a fracture after cement of unknown date, and of who came under
            # observation late the early ones are not seen.
            seen = time["entry_day"].to_numpy() <= time["origin_day"].to_numpy()
            chosen &= np.isfinite(since) & seen[who]
        if how.asked.relation != "any":
            met &= rows["relation"].eq(how.asked.relation).to_numpy(dtype=bool)
        return clustered_share(met[chosen], who[chosen], self.level)

    def _ratio(self, own: Share, published: Published) -> dict[str, float]:
        if not (own.estimate > 0 and published.share > 0):
            return dict.fromkeys(("ratio", "ratio_low", "ratio_high"), float("nan"))
        ratio = own.estimate / published.share
        reach = quantile(self.level) * math.hypot(own.std_error / own.estimate, published.log_error)
        if own.estimate >= 1 or math.isnan(own.std_error):
            reach = float("nan")
        return {"ratio": ratio, "ratio_low": ratio * math.exp(-reach), "ratio_high": ratio * math.exp(reach)}


def _of_patients(cohort: Cohort, inside: BoolArray) -> Cohort:
    """The cohort of those inside who are in the main figures; patients are independent, so nothing else changes."""
    main = cohort.follow_up["in_main"].to_numpy(dtype=bool) & inside
    ids = cohort.follow_up.loc[main, "patient_id"]

    def cut(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["patient_id"].isin(ids)].reset_index(drop=True)

    registry = replace(cohort.registry, tables={name: cut(frame) for name, frame in cohort.tables.items()})
    return Cohort(registry, cut(cohort.sightings), cut(cohort.augmentations))


def _of_arm(one: FigureDefinition, arm: Arm) -> list[str]:
    told = []
    if arm.unrestricted:
        told.append(f"Not restricted, for the registry does not record it: {', '.join(arm.unrestricted)}.")
    if any(key == "n_fractures" for key, _ in one.population) and not any(
        part.startswith("n fractures") for part in arm.unrestricted
    ):
        told.append("Several fractures: two recorded before, or two levels treated; one: fewer.")
    if any(key == "drug" for key, _ in one.population):
        told.append("By what was taken on the first day at risk, not by allocation.")
    if ("refractured", "any") in one.population:
        told.append("Only patients with a new fracture, here as there: chosen by the outcome, so no risk.")
    return told


def _why_missing(own: Share, published: Published) -> str:
    if not own.n:
        return f"{NOBODY} {NO_RATIO}"
    if math.isnan(own.estimate):
        return f"{NOT_SO_LONG} {NO_RATIO}"
    if own.estimate == 0:
        return f"{NO_EVENT} {NO_RATIO}"
    if published.share == 0:
        return NO_RATIO
    return EVERY_EVENT if own.estimate >= 1 or published.share >= 1 else ""
