"""The known parameters: every hazard, effect and probability from which synthetic patients are drawn.

Hazards are per vertebra and day; effects multiply them. They are *conditional* effects, given the patient's frailty;
what a report can estimate is their marginal counterpart (`cohort.synthetic.marginal`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cohort.domain.clock import DAYS_PER_YEAR, FloatArray
from cohort.domain.spine import CODE, LEVELS

Rates = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Parameters:
    """What is true of the synthetic patients.

    A vertebra of level l in role r breaks on day d with hazard `baseline[l]` x role x own findings x leak x
    patient covariates x drug x early x frailty. Ages count from 76 years, T-scores from -2.8 SD.
    """

    # Fractures per 1,000 vertebra-years of a remote vertebra, no exposure, later than the early days.
    baseline_per_1000: Rates = (
        ("T4", 1.3), ("T5", 1.6), ("T6", 2.2), ("T7", 3.0), ("T8", 3.3), ("T9", 2.9), ("T10", 3.6),
        ("T11", 7.4), ("T12", 12.5), ("T13", 10.0), ("L1", 12.5), ("L2", 8.0), ("L3", 4.5), ("L4", 3.2),
        ("L5", 1.8), ("L6", 1.5),
    )  # fmt: skip
    # Hazard relative to a remote vertebra.
    role_adjacent: float = 4.0
    role_treated: float = 0.34
    role_treated_prophylactic: float = 0.25
    role_treated_tumour: float = 0.50
    # Findings of the vertebra's own latest augmentation (same level).
    cleft_filled: float = 1.8
    cleft_unfilled: float = 3.4
    height_restoration_per_10: float = 1.15
    # Cement in the disc that an untreated neighbour faces.
    disc_leak_on_neighbour: float = 2.2
    # Patient.
    t_score_per_sd_lower: float = 1.35
    corticosteroids: float = 1.9
    age_per_10_years: float = 1.20
    female: float = 1.30
    per_prior_fracture: float = 1.20
    anti_osteoporotic: float = 0.50
    frailty_variance: float = 0.40
    # Days 1 to early_days after the patient's latest session.
    early: float = 2.5
    early_days: int = 90
    healing_days: int = 90
    # A share of each hazard comes as falls, in which several vertebrae may break at once.
    fall_share: float = 0.25
    falls_per_year: float = 0.25
    # Death: Gompertz; loss and data lock.
    deaths_per_year_at_76: float = 0.078
    death_growth_per_year: float = 0.085
    death_male: float = 1.5
    loss_per_year: float = 0.06
    first_treatment: str = "2009-01-01"
    last_treatment: str = "2016-12-31"
    data_lock: str = "2017-09-30"
    # Delayed entry: patients treated before their hospital joined, met when alive at enrolment.
    delayed_share: float = 0.12
    delay_days: tuple[int, int] = (10, 400)
    # Who is treated, and how.
    levels_treated: tuple[float, ...] = (0.74, 0.19, 0.07)
    prophylactic_share: float = 0.02
    tumour_share: float = 0.03
    augmented_again: tuple[float, float, float] = (0.45, 0.60, 0.60)
    cleft_odds: float = 0.30
    disc_leak: tuple[float, float] = (0.06, 0.13)
    cleft_complete: float = 0.60
    kyphoplasty: float = 0.45

    def baseline_per_day(self) -> FloatArray:
        """Daily baseline hazard by level code, shape (27,); zero for levels that are not at risk.

        >>> rates = DEFAULT.baseline_per_day()
        >>> LEVELS[int(rates.argmax())]
        'T12'
        """
        rates = np.zeros(len(LEVELS))
        for label, per_1000 in self.baseline_per_1000:
            rates[CODE[label]] = per_1000 / 1000 / DAYS_PER_YEAR
        return rates

    def as_dict(self) -> dict[str, Any]:
        """The parameters as plain values, for `truth.json`."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the parameters, so that a stored marginal value names the truth it belongs to."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


DEFAULT = Parameters()
