"""What the literature says by itself, and of a registry beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from cohort.tables.like_for_like import LikeForLike
from cohort.tables.reviewed import Reviewed

NO_ESTIMATE: Final = "The registry's ratio could not be estimated."


@dataclass(frozen=True)
class Compared:
    """The literature recomputed and, where there is a registry, the registry beside it; empty where there is none.

    review : the review's figures, each with the registry's own and whether the two compare. alike : published figures
    of studies, each counted in the registry as its study counted. ratios : published ratios, each with the registry's
    own. reviewed : verdicts, figures had again, studies pooled, the registry among them.
    """

    reviewed: Reviewed
    review: pd.DataFrame = field(default_factory=pd.DataFrame)
    alike: LikeForLike = field(default_factory=LikeForLike)
    ratios: pd.DataFrame = field(default_factory=pd.DataFrame)
