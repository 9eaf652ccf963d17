"""What a published figure counts, one row per unit: patient, procedure, vertebra, each from its own day 0 to its event.

Every share is then a matter of which units are counted until when; nothing here knows of arms or of what was printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
import pandas as pd

from cohort import atrisk, estimate
from cohort.atrisk.clocks import procedures
from cohort.atrisk.members import Members
from cohort.domain.clock import MISSING, BoolArray, FloatArray, to_days
from cohort.domain.study import StudyDefinition
from cohort.pipeline.stages import Cohort, under

Rule = Literal["all", "followed", "reached", "imaged"]
UNITS: Final = ("patient", "procedure", "treated_vertebra", "adjacent_vertebra", "untreated_vertebra")
EVENT, DEATH = 1, 2
_UNTREATED: Final = ("adjacent", "remote")
_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class Asked:
    """Which fractures are the event.

    relation : same, adjacent, remote or any. retreated : the level (or with any, whichever) is augmented again instead.
    untreated : of any, only vertebrae that were not treated. symptomatic : fractures recorded as without symptoms do
    not count. beyond, within : untreated vertebrae more than `beyond` and at most `within` levels
    from a treated one; 0, 0 is what the study's reach says.
    """

    relation: str
    retreated: bool = False
    untreated: bool = False
    symptomatic: bool = False
    beyond: int = 0
    within: int = 0

    @property
    def by_distance(self) -> bool:
        """Whether a distance is asked for, and not a relation."""
        return self.within > 0

    @property
    def elsewhere(self) -> bool:
        """Whether it is any untreated vertebra, so that adjacent and remote count together."""
        return self.by_distance or (self.relation == "any" and self.untreated)


@dataclass(frozen=True)
class Share:
    """A share with its interval; fractions. NaN where there is none."""

    n_events: float = float("nan")
    n: float = float("nan")
    n_patients: float = float("nan")
    estimate: float = float("nan")
    conf_low: float = float("nan")
    conf_high: float = float("nan")
    std_error: float = float("nan")


@dataclass
class Counted:
    """A registry under any rules and units, each made once.

    `units` returns one row per unit: id, cluster (row of the patient), entry, exit (days since its origin), cause (0
    none, 1 the event, 2 death first), from_start (seen from day 0 on). The origin of procedures and treated vertebrae
    is their own day, that of all others their patient's first treatment.
    """

    base: Cohort
    _cohorts: dict[tuple[str, bool, int, int], Cohort] = field(default_factory=dict, repr=False)
    _units: dict[tuple[str, Asked, str], pd.DataFrame] = field(default_factory=dict, repr=False)
    _curves: dict[tuple[str, Asked, str, float], Share] = field(default_factory=dict, repr=False)

    def cohort(self, study: StudyDefinition, asked: Asked) -> Cohort:
        """The registry classified under the rules of a study; its population and windows stay those of the base."""
        rules = self._rules(study, asked)
        key = (rules.digest, asked.symptomatic, asked.beyond, asked.within)
        if key not in self._cohorts:
            plain = (rules.digest, False, 0, 0)
            if plain not in self._cohorts:
                same = rules.digest == self.base.study.digest
                self._cohorts[plain] = self.base if same else under(self.base, rules)
            self._cohorts[key] = _only(self._cohorts[plain], asked)
        return self._cohorts[key]

    def units(self, study: StudyDefinition, asked: Asked, unit: str) -> pd.DataFrame:
        """The units of one kind; `unit` is one of UNITS."""
        key = (self._rules(study, asked).digest, asked, unit)
        if key not in self._units:
            cohort = self.cohort(study, asked)
            made = {"patient": _patients, "procedure": _procedures, "treated_vertebra": _treated}.get(unit, _untreated)
            frame = made(cohort, asked)
            known = self.entry_day[frame["cluster"].to_numpy(dtype=np.int64)] <= frame["origin_day"]
            self._units[key] = frame.assign(from_start=known.to_numpy(dtype=bool))
        return self._units[key]

    def at(self, study: StudyDefinition, asked: Asked, unit: str, window: float) -> Share:
        """The incidence of everybody at a day, kept: many figures share the first steps."""
        key = (self._rules(study, asked).digest, asked, unit, window)
        if key not in self._curves:
            self._curves[key] = self.incidence(self.units(study, asked, unit), window)
        return self._curves[key]

    @cached_property
    def entry_day(self) -> FloatArray:
        """The day each patient came under observation."""
        return self.base.follow_up["entry_day"].to_numpy(dtype=np.float64)

    @cached_property
    def exit_day(self) -> FloatArray:
        """The day each patient left observation."""
        return self.base.follow_up["exit_day"].to_numpy(dtype=np.float64)

    @cached_property
    def films(self) -> pd.DataFrame:
        """Patient (row) and day of every measurement, and of every study that says which levels it shows."""
        ids = pd.Index(self.base.tables["patients"]["patient_id"])
        studies = self.base.tables["imaging_studies"]
        told = studies[studies["first_level"].notna() & studies["last_level"].notna()]
        rows = pd.concat([table[["patient_id", "date"]] for table in (self.base.tables["imaging"], told)])
        rows = rows[rows["date"].notna()]
        return pd.DataFrame({"cluster": ids.get_indexer(rows["patient_id"]), "day": to_days(rows["date"])})

    def crude(self, units: pd.DataFrame, window: float, rule: Rule, inside: BoolArray | None = None) -> Share:
        """Units with the event by a day over the units counted, nobody censored; the interval takes patients together.

        window : days, inf for all follow-up. rule : "all", whoever is seen from day 0 (loss and death are no event);
        "followed", of these those followed to the window or broken before it; "imaged", of these again those with a
        film by then; "reached", those whose follow-up reached the window, broken before or not. inside : the patients
        of an arm, all where None.
        """
        rows = units[units["from_start"].to_numpy(dtype=bool) & (units["entry"] < window).to_numpy(dtype=bool)]
        rows = rows if inside is None else rows[inside[rows["cluster"].to_numpy(dtype=np.int64)]]
        broke = (rows["cause"] == EVENT) & (rows["exit"] <= window)
        if rule != "all":
            kept = broke | (rows["exit"] >= window)
            if rule == "imaged":
                kept &= broke | self._filmed(rows, window)
            elif rule == "reached":
                kept = self.exit_day[rows["cluster"].to_numpy(dtype=np.int64)] - rows["origin_day"] >= window
            rows, broke = rows[kept], broke[kept]
        return clustered_share(
            broke.to_numpy(dtype=bool), rows["cluster"].to_numpy(), self.base.study.models.confidence
        )

    def incidence(self, units: pd.DataFrame, window: float, inside: BoolArray | None = None) -> Share:
        """Aalen-Johansen at a day, death competing (inf: at the end of all follow-up); NaN where nobody is left."""
        rows = units if inside is None else units[inside[units["cluster"].to_numpy(dtype=np.int64)]]
        if rows.empty:
            return Share(n_events=0.0, n=0.0, n_patients=0.0)
        day = float(rows["exit"].max()) if np.isinf(window) else window
        fitted = estimate.aalen_johansen(
            rows, exit="exit", cause="cause", entry="entry", id="id", cluster="cluster", at=[day],
            causes_named=("event", "death"), confidence=self.base.study.models.confidence,
        ).frame  # fmt: skip
        found = fitted[fitted["outcome"] == "event"].iloc[0]
        return Share(
            float(found["n_events"]), float(found["n_units"]), float(found["n_patients"]),
            *(float(found[name]) for name in ("estimate", "conf_low", "conf_high", "std_error")),
        )  # fmt: skip

    def _filmed(self, rows: pd.DataFrame, window: float) -> pd.Series:
        films = rows[["id", "cluster", "origin_day"]].merge(self.films, on="cluster")
        since = films["day"] - films["origin_day"]
        return rows["id"].isin(films.loc[(since > 0) & (since <= window), "id"])

    def _rules(self, study: StudyDefinition, asked: Asked) -> StudyDefinition:
        base = self.base.study
        rules = study.model_copy(update={"population": base.population, "models": base.models})
        return rules.with_("relation", reach=min(asked.within, 5)) if asked.by_distance else rules


def clustered_share(met: BoolArray, cluster: FloatArray, confidence: float) -> Share:
    """A share with beta limits over patients: those of Clopper and Pearson where every unit is a patient.

    >>> found = clustered_share(np.arange(1800) < 10, np.arange(1800.0), 0.95)
    >>> round(found.conf_low, 5), round(found.conf_high, 5)
    (0.00267, 0.01019)
    """
    if not len(met):
        return Share(n_events=0.0, n=0.0, n_patients=0.0)
    rows = pd.DataFrame({"id": np.arange(len(met)), "cluster": cluster, "exit": 1.0, "cause": met.astype(np.int64)})
    fitted = estimate.aalen_johansen(
        rows, exit="exit", cause="cause", id="id", cluster="cluster", at=[1.0], causes_named=("event",),
        conf_type="beta", confidence=confidence,
    ).frame  # fmt: skip
    found = fitted[fitted["outcome"] == "event"].iloc[0]
    share, patients, error = (float(found[name]) for name in ("estimate", "n_patients", "std_error"))
    if 0 < share < 1 and error < _NO_SPREAD:
        # One patient, or patients all alike: no spread between them is seen, and each is taken as one unit.
        error = float(np.sqrt(share * (1 - share) / patients))
    return Share(
        float(met.sum()), float(len(met)), patients, share, float(found["conf_low"]), float(found["conf_high"]), error
    )


def _only(cohort: Cohort, asked: Asked) -> Cohort:
    """The same cohort in which the fractures that are not asked for do not count; they stay seen."""
    rows = cohort.sightings
    gone = np.zeros(len(rows), dtype=bool)
    untreated = rows["relation"].isin(_UNTREATED).to_numpy(dtype=bool)
    if asked.symptomatic:
        gone |= rows["symptomatic"].astype("object").eq("no").to_numpy(dtype=bool)
    if asked.by_distance:
        distance = rows["distance"].to_numpy(dtype=np.float64)
        gone |= untreated & ~((distance > asked.beyond) & (distance <= asked.within))
    if not gone.any():
        return cohort
    # Those that came too early do not make a patient prevalent either.
    early = rows["not_counted_because"].astype("object").eq("not_after_entry").to_numpy(dtype=bool)
    changed = rows.assign(
        counted=rows["counted"].mask(gone, "no"),
        not_counted_because=rows["not_counted_because"].astype("object").mask(gone & early, "not_asked"),
    )
    return Cohort(cohort.registry, changed, cohort.augmentations)


def _patients(cohort: Cohort, asked: Asked) -> pd.DataFrame:
    if asked.retreated:
        return _again(cohort) if asked.relation == "any" else _first(cohort, "retreated")
    if asked.elsewhere:
        return _either(*(_first(cohort, relation) for relation in _UNTREATED))
    return _first(cohort, "composite" if asked.relation == "any" else asked.relation)


def _either(near: pd.DataFrame, far: pd.DataFrame) -> pd.DataFrame:
    """A unit is out as soon as one of the two leaves it out; the first of both is the event."""
    both = near.merge(far[["id", "exit", "cause"]], on="id", suffixes=("", "_far"))
    hit, hit_far = both["cause"] == EVENT, both["cause_far"] == EVENT
    first_far = hit_far & (~hit | (both["exit_far"] < both["exit"]))
    both["exit"] = both["exit"].mask(first_far, both["exit_far"])
    both["cause"] = both["cause"].mask(first_far, EVENT)
    return both[near.columns]


def _first(cohort: Cohort, endpoint: str) -> pd.DataFrame:
    process = cohort.first_events(endpoint)
    return _of_rows(process.frame, process.frame["cause"] == len(process.causes))


def _again(cohort: Cohort) -> pd.DataFrame:
    """Patients to their second procedure at any level; one that only finishes the first is no second."""
    members = Members.of(cohort.tables, cohort.augmentations, cohort.study)
    time = cohort.follow_up
    origin, entry, exit_ = (time[name].to_numpy(dtype=np.int64) for name in ("origin_day", "entry_day", "exit_day"))
    owner, day, _ = procedures(members, cohort.augmentations, merge_staged=True)
    later = day > origin[owner]
    early = np.zeros(len(members), dtype=bool)
    early[owner[later & (day <= entry[owner])]] = True
    again = np.full(len(members), np.iinfo(np.int64).max)
    after = later & (day > entry[owner])
    np.minimum.at(again, owner[after], day[after])
    chosen = np.flatnonzero(time["in_main"].to_numpy(dtype=bool) & (origin != MISSING) & ~early)
    happened = again[chosen] <= exit_[chosen]
    died = ~happened & (members.death[chosen] == exit_[chosen])
    return pd.DataFrame(
        {
            "id": chosen,
            "cluster": chosen,
            "entry": (entry - origin)[chosen].astype(np.float64),
            "exit": (np.where(happened, again[chosen], exit_[chosen]) - origin[chosen]).astype(np.float64),
            "cause": np.select([happened, died], [EVENT, DEATH], default=0),
            "origin_day": origin[chosen],
        }
    )


def _procedures(cohort: Cohort, asked: Asked) -> pd.DataFrame:
    def until(endpoint: str) -> pd.DataFrame:
        process = atrisk.procedure_rows(*cohort.stages, endpoint=endpoint)
        return _of_rows(process.frame, process.frame["cause"] == len(process.causes))

    if asked.retreated:
        return until("retreated")
    if asked.elsewhere:
        return _either(*(until(relation) for relation in _UNTREATED))
    return until("composite" if asked.relation == "any" else asked.relation)


def _treated(cohort: Cohort, asked: Asked) -> pd.DataFrame:
    if asked.relation == "same":
        process = atrisk.treated_vertebra_rows(*cohort.stages)
        return _of_rows(process.frame, process.frame["cause"] == DEATH)
    return _attributed(cohort, asked)


def _attributed(cohort: Cohort, asked: Asked) -> pd.DataFrame:
    """Augmented vertebrae to the first fracture elsewhere that is attributed to them, on the clock of each."""
    rows, time = cohort.augmentations, cohort.follow_up
    who = pd.Index(time["patient_id"]).get_indexer(rows["patient_id"])
    day, exit_ = to_days(rows["date"]), time["exit_day"].to_numpy(dtype=np.int64)[who]
    chosen = rows["date"].notna().to_numpy() & time["in_main"].to_numpy(dtype=bool)[who] & (exit_ > day)
    relations = _UNTREATED if asked.relation == "any" else (asked.relation,)
    seen = cohort.sightings
    seen = seen[seen["counted"].eq("yes") & seen["relation"].isin(relations)]
    first = rows["augmentation_id"].map(seen.groupby("augmentation_id")["days_since"].min()).to_numpy(dtype=np.float64)
    entry = np.maximum(time["entry_day"].to_numpy(dtype=np.int64)[who] - day, 0)
    happened = (first <= exit_ - day) & (first > entry)
    death = to_days(cohort.tables["patients"]["death_date"])[who]
    frame = pd.DataFrame(
        {
            "id": np.arange(len(rows)),
            "cluster": who,
            "entry": entry.astype(np.float64),
            "exit": np.where(happened, first, exit_ - day).astype(np.float64),
            "cause": np.select([happened, death == exit_], [EVENT, DEATH], default=0),
            "origin_day": day,
        }
    )
    return frame[chosen & (frame["exit"] > frame["entry"]).to_numpy(dtype=bool)].reset_index(drop=True)


def _untreated(cohort: Cohort, asked: Asked) -> pd.DataFrame:
    """Untreated vertebrae at risk in the roles asked for, from the first treatment of their patient on."""
    if asked.by_distance or asked.relation == "adjacent":
        roles: tuple[str, ...] = ("adjacent",)
    else:
        roles = _UNTREATED if asked.relation == "any" else ("remote",)
    parts = [atrisk.vertebra_rows(*cohort.stages, role=role).frame for role in roles]  # type: ignore[arg-type]
    columns = ["id", "cluster", "entry", "exit", "cause", "origin_date"]
    rows = pd.concat([part[columns] for part in parts], ignore_index=True)
    if asked.beyond:
        near = cohort.study.with_("relation", reach=asked.beyond)
        nearer = atrisk.vertebra_rows(*cohort.stages[:3], near, role="adjacent").frame
        # Until a later treatment comes nearer: whether one will is not known at the start.
        until = rows["id"].map(nearer.groupby("id")["entry"].min()).fillna(np.inf)
        rows = rows.assign(exit=np.minimum(rows["exit"], until), cause=rows["cause"] * (rows["exit"] <= until))
        rows = rows[rows["entry"] < until]
    patients = rows["cluster"].to_numpy(dtype=np.int64)
    death = to_days(cohort.tables["patients"]["death_date"])[patients]
    return _of_rows(rows, (rows["cause"] != EVENT) & (rows["exit"] + to_days(rows["origin_date"]) == death))


def _of_rows(rows: pd.DataFrame, died: pd.Series) -> pd.DataFrame:
    """Counting-process rows with one row per unit, up to its first event; gaps off risk are not kept."""
    event = (rows["cause"] != 0) & ~died
    flat = pd.DataFrame(
        {
            "id": rows["id"].to_numpy(),
            "cluster": rows["cluster"].to_numpy(dtype=np.int64),
            "entry": rows["entry"].to_numpy(dtype=np.float64),
            "exit": rows["exit"].to_numpy(dtype=np.float64),
            "event_day": rows["exit"].where(event).to_numpy(dtype=np.float64),
            "died": died.to_numpy(dtype=bool),
            "origin_day": to_days(rows["origin_date"]),
        }
    )
    if flat["id"].is_unique:
        one = flat
    else:
        one = flat.groupby("id", sort=True).agg(
            cluster=("cluster", "first"), entry=("entry", "min"), exit=("exit", "max"),
            event_day=("event_day", "min"), died=("died", "any"), origin_day=("origin_day", "first"),
        ).reset_index()  # fmt: skip
    happened = one["event_day"].notna()
    return pd.DataFrame(
        {
            "id": one["id"].to_numpy(),
            "cluster": one["cluster"].to_numpy(),
            "entry": one["entry"].to_numpy(),
            "exit": one["exit"].mask(happened, one["event_day"]).to_numpy(),
            "cause": np.select([happened, one["died"]], [EVENT, DEATH], default=0),
            "origin_day": one["origin_day"].to_numpy(),
        }
    )
