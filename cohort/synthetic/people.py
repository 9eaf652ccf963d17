"""Who is treated: patients with their covariates, drugs, and the span over which they are followed.

Times are days since the patient's first session (day 0). Patients who would die before enrolment are never met:
candidates are drawn until enough of them live to it, which is what left truncation is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from cohort.domain.clock import DAYS_PER_YEAR, NEVER, BoolArray, FloatArray, IntArray
from cohort.domain.spine import CODE, code_at
from cohort.synthetic.truth import Parameters

FIRST_PLACE = CODE["T4"]
WIDTH = 16  # T4 to L6 in the longest spine; column v of a patient is place FIRST_PLACE + v of their own row
SITES = ("Zürich", "Bern", "Tübingen", "St. Anna", "Nordklinik")
DAILY_DRUGS = ("alendronate", "risedronate", "raloxifene", "teriparatide")
DOSED_DRUGS = ("zoledronate", "denosumab")
DRUGS = DAILY_DRUGS + DOSED_DRUGS
INTERVALS = (0, 0, 0, 0, 365, 182)  # days between doses; 0 = taken daily
POTENTIAL_DAYS = 730


@dataclass(frozen=True)
class People:
    """One element per patient, shape (n,); drug windows have shape (n, 2) and a start of NEVER where there is none."""

    age: FloatArray
    female: BoolArray
    t_score: FloatArray
    corticosteroids: BoolArray
    prior_fractures: IntArray
    n_thoracic: IntArray
    n_lumbar: IntArray
    site: IntArray
    frailty: FloatArray
    tumour: BoolArray
    prophylactic: BoolArray
    first_day: IntArray
    entry: IntArray
    death: IntArray
    lost: IntArray
    exit: IntArray
    drug: IntArray
    drug_start: IntArray
    drug_stop: IntArray

    def __len__(self) -> int:
        return len(self.age)

    @property
    def died(self) -> BoolArray:
        """Whether death closed the follow-up."""
        died: BoolArray = self.death == self.exit
        return died

    def codes(self) -> IntArray:
        """Level code of each column of each patient, shape (n, WIDTH); -1 beyond the last lumbar vertebra."""
        place = np.arange(WIDTH) + FIRST_PLACE
        nt, nl = self.n_thoracic[:, None], self.n_lumbar[:, None]
        codes = code_at(np.broadcast_to(place, (len(self), WIDTH)), nt, nl)
        return np.where(place >= 7 + nt + nl, -1, codes)

    def log_risk(self, truth: Parameters) -> FloatArray:
        """Log of the patient's own factor, drugs apart: covariates and frailty."""
        return (
            np.log(self.frailty)
            + np.log(truth.t_score_per_sd_lower) * -(self.t_score + 2.8)
            + np.log(truth.corticosteroids) * self.corticosteroids
            + np.log(truth.age_per_10_years) * (self.age - 76) / 10
            + np.log(truth.female) * self.female
            + np.log(truth.per_prior_fracture) * self.prior_fractures
        )

    def on_drug(self, patient: IntArray, day: IntArray) -> BoolArray:
        """Whether each patient is on an anti-osteoporotic drug on each day: start < day <= stop."""
        day = day[:, None]
        held = (self.drug_start[patient] < day) & (day <= self.drug_stop[patient])
        return held[:, 0] | held[:, 1]

    def keep(self, chosen: IntArray) -> People:
        """The patients at these places."""
        return People(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def draw_people(n: int, rng: np.random.Generator, truth: Parameters, *, potential: bool = False) -> People:
    """Patients alive at enrolment and followed for at least a day.

    potential : follow everybody from the first session to death or day 730, as if nobody joined late or were lost.
    """
    met = _candidates(int(n * 1.08) + 200, rng, truth, potential)
    chosen = np.flatnonzero(met.exit > met.entry)
    while len(chosen) < n:  # one draw suffices in practice
        met = _candidates(2 * len(met), rng, truth, potential)
        chosen = np.flatnonzero(met.exit > met.entry)
    return met.keep(chosen[:n])


def _candidates(n: int, rng: np.random.Generator, truth: Parameters, potential: bool) -> People:
    female = rng.random(n) < 0.75
    age: FloatArray = np.round(rng.normal(76, 8, n).clip(50, 97), 1)
    corticosteroids = rng.random(n) < 0.14
    density = rng.normal(-2.8, 0.9, n) - 0.3 * corticosteroids - 0.02 * (age - 76)
    t_score: FloatArray = np.round(density.clip(-6.5, 1.5), 1)
    prior = np.minimum(rng.poisson(0.55 * np.exp(0.35 * -(t_score + 2.8) + 0.03 * (age - 76))), 8)

    day0 = np.datetime64(truth.first_treatment, "D").astype(np.int64)
    last = np.datetime64(truth.last_treatment, "D").astype(np.int64)
    lock = np.datetime64(truth.data_lock, "D").astype(np.int64)
    first_day = rng.integers(day0, last + 1, n)
    delayed = rng.random(n) < truth.delayed_share
    entry = np.where(delayed, rng.integers(truth.delay_days[0], truth.delay_days[1] + 1, n), 0)

    rate = truth.deaths_per_year_at_76 * np.exp(truth.death_growth_per_year * (age - 76))
    rate *= np.where(female, 1, truth.death_male)
    years = np.log1p(truth.death_growth_per_year * rng.exponential(size=n) / rate) / truth.death_growth_per_year
    death = np.maximum(np.ceil(years * DAYS_PER_YEAR), 1).astype(np.int64)
    lost = entry + np.ceil(rng.exponential(DAYS_PER_YEAR / truth.loss_per_year, n)).astype(np.int64)
    exit_ = np.minimum(np.minimum(death, lost), lock - first_day)
    if potential:
        entry, lost, exit_ = np.zeros(n, dtype=np.int64), np.full(n, NEVER), np.minimum(death, POTENTIAL_DAYS)

    drug, start, stop = _drugs(n, rng, age, t_score, corticosteroids, prior)
    return People(
        age=age,
        female=female,
        t_score=t_score,
        corticosteroids=corticosteroids,
        prior_fractures=prior.astype(np.int64),
        n_thoracic=rng.choice([11, 12, 13], n, p=[0.02, 0.965, 0.015]),
        n_lumbar=rng.choice([4, 5, 6], n, p=[0.025, 0.945, 0.03]),
        site=rng.choice(len(SITES), n, p=[0.30, 0.25, 0.20, 0.15, 0.10]),
        frailty=rng.gamma(1 / truth.frailty_variance, truth.frailty_variance, n),
        tumour=rng.random(n) < truth.tumour_share,
        prophylactic=rng.random(n) < truth.prophylactic_share,
        first_day=first_day,
        entry=entry,
        death=death,
        lost=lost,
        exit=exit_,
        drug=drug,
        drug_start=start,
        drug_stop=stop,
    )


def _drugs(
    n: int, rng: np.random.Generator, age: FloatArray, t_score: FloatArray, corticosteroids: BoolArray, prior: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Two possible windows per patient: one begun before the first session, one after it.

    Drugs go to those at higher risk, so that a crude comparison makes them look worse than they are.
    """
    need = 0.55 * -(t_score + 2.8) + 0.5 * corticosteroids + 0.45 * np.minimum(prior, 4) - 0.02 * (age - 76)
    before = rng.random(n) < 1 / (1 + np.exp(1.6 - need))
    after = rng.random(n) < 1 / (1 + np.exp(0.5 - need))
    kind = rng.choice(len(DRUGS), (n, 2), p=[0.38, 0.14, 0.06, 0.06, 0.18, 0.18])
    start = np.column_stack([-rng.integers(1, 1200, n), np.minimum(1 + rng.exponential(120, n), 1500).astype(np.int64)])
    length = 120 + rng.exponential(700, (n, 2)).astype(np.int64)
    interval = np.asarray(INTERVALS)[kind]
    dosed = interval > 0
    # Doses follow one another without a gap, so that the window ends with the action of the last.
    length = np.where(dosed, np.maximum(length // np.maximum(interval, 1), 1) * interval, length)
    open_ended = (rng.random((n, 2)) < 0.35) & ~dosed
    stop = np.where(open_ended, NEVER, start + length)
    taken = np.column_stack([before & (stop[:, 0] > 0), after])
    start = np.where(taken, start, NEVER)
    return kind.astype(np.int64), start.astype(np.int64), np.where(taken, stop, NEVER).astype(np.int64)
