"""Why the first procedure failed: every mechanism that the augmentation's own row supports.

Each mechanism is yes, no or cannot be told. A factor that rules it out decides even where another is missing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.domain import outcomes
from cohort.domain.clock import NEVER, BoolArray, IntArray
from cohort.domain.treated import key_of
from cohort.refracture.films import MISSING_FINDING, NO, YES, Films, tells
from cohort.refracture.lookup import lowest_between
from cohort.refracture.numbered import ObjectArray, codes
from cohort.refracture.treated import Treatments

UNTOLD: Final = -1  # three-valued: 1 yes, 0 no, UNTOLD
Tri = npt.NDArray[np.int64]

_ENDPLATES: Final = ("superior", "inferior", "both", "none")
_REACHES: Final = np.array([0b01, 0b10, 0b11, 0b00])
_FILLED: Final = ("complete", "partial", "missed")
_CLEFT_FILLED: Final = ("complete", "partial", "none")


def tri(yes: BoolArray, no: BoolArray) -> Tri:
    """1 where yes, 0 where no, UNTOLD where neither."""
    return np.select([yes, no], [1, 0], UNTOLD).astype(np.int64)


def all_of(left: Tri, right: Tri) -> Tri:
    """Both hold: one `no` decides, however little is known of the other.

    >>> all_of(np.array([1, 1, UNTOLD]), np.array([1, UNTOLD, 0])).tolist()
    [1, -1, 0]
    """
    return tri((left == 1) & (right == 1), (left == 0) | (right == 0))


def endplate_unfilled(augmentations: pd.DataFrame) -> Tri:
    """The fractured endplate was not reached by cement."""
    broken = codes(augmentations["fracture_endplate"], _ENDPLATES)
    reached = codes(augmentations["cement_endplate"], _ENDPLATES)
    both = (broken >= 0) & (reached >= 0)
    missed = (_REACHES[broken] & ~_REACHES[reached]) != 0
    none_broken, all_reached = broken == _ENDPLATES.index("none"), reached == _ENDPLATES.index("both")
    return tri(both & missed, none_broken | all_reached | (both & ~missed))


def underfilled_with_disc_leak(augmentations: pd.DataFrame) -> Tri:
    """The fracture was filled in part, and there is cement in a disc."""
    filled = codes(augmentations["fracture_filled"], _FILLED)
    partly = tri(filled == _FILLED.index("partial"), filled >= 0)
    leak = augmentations["leak"]
    recorded = leak.notna().to_numpy(dtype=bool)
    into_disc = np.zeros(len(leak), dtype=bool)
    distinct, words = pd.factorize(leak)
    has_disc = np.array([any(part.strip().startswith("disc") for part in str(word).split(";")) for word in words], bool)
    into_disc[recorded] = has_disc[distinct[recorded]]
    return all_of(partly, tri(into_disc, recorded))


def fracture_missed(augmentations: pd.DataFrame) -> Tri:
    """Cement or balloon lay away from the fracture."""
    filled = codes(augmentations["fracture_filled"], _FILLED)
    return tri(filled == _FILLED.index("missed"), filled >= 0)


def cleft_unfilled(augmentations: pd.DataFrame) -> Tri:
    """A cleft before treatment, not completely filled."""
    before = tells(augmentations["cleft_before"])
    filled = codes(augmentations["cleft_filled"], _CLEFT_FILLED)
    complete = filled == _CLEFT_FILLED.index("complete")
    return all_of(tri(before == YES, before == NO), tri((filled >= 0) & ~complete, complete))


def cleft_developed(augmentations: pd.DataFrame, at_follow_up: IntArray) -> Tri:
    """No cleft before, one at follow-up. at_follow_up : a state of `films.tells`."""
    before = tells(augmentations["cleft_before"])
    return all_of(tri(before == NO, before == YES), tri(at_follow_up == YES, at_follow_up == NO))


def cleft_at_follow_up(films: Films, treated: Treatments, row: IntArray, day: IntArray, *, film_days: int) -> IntArray:
    """What films after a treatment tell of a cleft at the time of a sighting.

    row : row in `treated`. day : of the sighting. Yes where any film up to `film_days` after the sighting, or its next
    treatment, shows one. No only where none does and one within `film_days` of the sighting says no: a film of the week
    after treatment rules out no cleft of the next year. MISSING_FINDING otherwise.
    """
    patient, place, treated_on = treated.patient[row], treated.place[row], treated.day[row]
    again = treated.history.first_from(patient, place, treated_on + 1)
    next_treated = np.where(again >= 0, np.append(treated.day, NEVER)[again], NEVER)
    key = key_of(patient, place)
    stop = films.line.after(key, np.minimum(next_treated, day + film_days))
    any_film = films.line.after(key, treated_on)
    near_film = np.maximum(any_film, films.line.at_or_after(key, day - film_days))
    most = -lowest_between(-films.cleft.astype(np.float64), any_film, stop)
    near = -lowest_between(-films.cleft.astype(np.float64), near_film, stop)
    return np.select([most == YES, near == NO], [YES, NO], MISSING_FINDING).astype(np.int64)


def mechanisms(augmentations: pd.DataFrame, at_follow_up: IntArray) -> ObjectArray:
    """Mechanisms of same-level refractures, `;`-joined in the order of outcomes.MECHANISMS, shape (n,).

    augmentations : one canonical row per refracture, the treatment that failed. Where none can be shown it is
    `not_recorded` if any cannot be told, else `unexplained`.
    """
    told = np.column_stack(
        [
            endplate_unfilled(augmentations),
            underfilled_with_disc_leak(augmentations),
            fracture_missed(augmentations),
            cleft_unfilled(augmentations),
            cleft_developed(augmentations, at_follow_up),
        ]
    )
    shown = told == 1
    none_shown = ~shown.any(axis=1)
    untold = (told == UNTOLD).any(axis=1)
    pattern = np.column_stack([shown, none_shown & untold, none_shown & ~untold]) @ (1 << np.arange(7))
    names = {
        code: ";".join(name for k, name in enumerate(outcomes.MECHANISMS) if code >> k & 1) for code in set(pattern)
    }
    return np.array([names[code] for code in pattern], dtype=object)
