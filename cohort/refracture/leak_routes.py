"""Where the cement of a treated vertebra went: routes of leakage, cleft, endplates. What is not recorded stays missing.

Every function takes canonical columns, one element per treated vertebra, and returns ordered categoricals (or float64)
of the same length. A finding is no, not_assessable, yes or missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from cohort.domain import outcomes, spine
from cohort.domain.clock import FloatArray, IntArray
from cohort.domain.errors import RegistryError
from cohort.refracture.films import NO, YES, tells
from cohort.refracture.mechanism import endplate_unfilled
from cohort.refracture.numbered import codes, words

FINDING_NO, FINDING_NOT_ASSESSABLE, FINDING_YES = range(len(outcomes.FINDING))
UNTOLD: Final = -1
NOT_ASSESSABLE: Final = outcomes.FINDING[FINDING_NOT_ASSESSABLE]

_SIDES: Final = ("disc_superior", "disc_inferior")
_DISCS: Final = ("disc", *_SIDES)
ROUTES: Final = tuple(route for route in outcomes.LEAKS if route not in ("none", *_DISCS))

CLEFT_STATES: Final = ("absent", "filled", "partly_filled", "unfilled", "filling_unknown", "developed")
CONTACTS: Final = ("none", "inferior_only", "superior_only", "both")
CLASSES: Final = ("A", "B1", "B2", "B3")
_ENDPLATES: Final = ("superior", "inferior", "both", "none")
_CONTACT_OF: Final = ("superior_only", "inferior_only", "both", "none")
_CLASS_OF: Final = ("B1", "B2", "A", "B3")
_FILLINGS: Final = ("complete", "partial", "none")

_RECORDED: Final = "as recorded: docs/definitions.md, section 1"
_LEAK: Final = "docs/definitions.md, section 1; routes as in Yeom 2003 and Martin 2012 [abs]"
_CONTACT: Final = "PMC7427078, BMC Musculoskelet Disord 2020 [abs]"
FORMULAS: Final = (  # column, formula in words, unit, source
    ("leak_disc", "cement in a disc of the vertebra, on either or an unknown side", "finding", _LEAK),
    ("leak_disc_superior", "cement in the disc above; missing where the side is unknown", "finding", _LEAK),
    ("leak_disc_inferior", "cement in the disc below; missing where the side is unknown", "finding", _LEAK),
    *((f"leak_{route}", f"leakage recorded as {route}", "finding", _LEAK) for route in ROUTES),
    ("leak_any", "leakage by any route", "finding", _LEAK),
    ("n_leak_routes", "number of routes; the discs above and below are two, a disc of unknown side is one", "count",
     _LEAK),
    ("leak_disc_above", "name of the disc above in the patient's own spine where leak_disc_superior is yes", "disc",
     _LEAK),
    ("leak_disc_below", "name of the disc below in the patient's own spine where leak_disc_inferior is yes", "disc",
     _LEAK),
    ("cleft_state", "cleft before treatment: how far it was filled; none before: developed if a film after treatment "
     "and up to the next one of the level shows a cleft, else absent; before not told: missing", "state",
     "docs/definitions.md, sections 1 and 6; cleft: McKiernan 2003 [abs]"),
    ("cleft_at_follow_up", "cleft on the films after treatment and up to the next one of the level: any yes is yes, "
     "else any no is no; the mechanism asks more narrowly, at the time of a refracture", "finding",
     "docs/definitions.md, section 1; docs/readings.md, 19"),
    ("endplate_contact", "endplates that cement reached", "state", _RECORDED),
    ("endplate_class", "A both endplates reached, B1 the upper only, B2 the lower only, B3 neither", "class", _CONTACT),
    ("fractured_endplate_reached", "cement reached every fractured endplate; missing where none is fractured",
     "yes/no", "docs/definitions.md, section 6; Li 2021, non-PMMA-endplate-contact [abs]"),
    ("cement_pattern", "pattern of the cement", "state",
     _RECORDED + "; solid and trabecular: Ma 2021, Li Q 2021 [abs]"),
    ("volume_ml", "injected cement", "ml", _RECORDED),
)  # fmt: skip


def _disc_labels() -> tuple[str, ...]:
    """Every disc that some spine has, from the head down; there is none between C1 and C2."""
    pairs = set()
    for n_thoracic in range(spine.MAX_THORACIC - 2, spine.MAX_THORACIC + 1):
        for n_lumbar in range(spine.MAX_LUMBAR - 2, spine.MAX_LUMBAR + 1):
            row = spine.code_at(
                np.arange(1, spine.CERVICAL + n_thoracic + n_lumbar + 1), *_counts(n_thoracic, n_lumbar)
            )
            pairs |= set(pairwise(row.tolist()))
    return tuple(f"{spine.LEVELS[upper]}-{spine.LEVELS[lower]}" for upper, lower in sorted(pairs))


def _counts(n_thoracic: int, n_lumbar: int) -> tuple[IntArray, IntArray]:
    return np.array([n_thoracic]), np.array([n_lumbar])


DISCS: Final = _disc_labels()
# By the level codes above and below, -1 where there is no disc; the last row and column serve code -1, no vertebra.
_DISC_OF: Final = np.full((len(spine.LEVELS) + 1, len(spine.LEVELS) + 1), UNTOLD, dtype=np.int64)
for _disc, _label in enumerate(DISCS):
    _DISC_OF[tuple(spine.CODE[end] for end in _label.split("-"))] = _disc


def leak_findings(leak: pd.Series) -> dict[str, pd.Categorical | FloatArray]:
    """A finding per route, from sets such as 'disc_inferior;venous', and the number of routes.

    A route that a recorded set does not list is no, whatever others it lists; `none` is no for all; not recorded is
    missing for all. `disc` alone is a leak whose side nobody wrote down: yes for leak_disc, missing for both sides;
    beside a named side it adds nothing. `not_assessable` in a set makes every route that it does not list
    not_assessable. n_leak_routes (count) takes the disc above and the disc below as two routes and a disc of unknown
    side as one; missing where leakage is not recorded or could not be assessed.

    Raises RegistryError for a word that is no route.

    >>> found = leak_findings(pd.Series(["disc_inferior;venous", "disc", "none", None]))
    >>> found["leak_disc"].tolist(), found["leak_disc_superior"].tolist(), found["n_leak_routes"].tolist()
    (['yes', 'yes', 'no', nan], ['no', nan, 'no', nan], [2.0, 1.0, 0.0, nan])
    """
    names = ("leak_disc", *(f"leak_{side}" for side in _SIDES), *(f"leak_{route}" for route in ROUTES), "leak_any")
    index, written = pd.factorize(leak.astype(object), use_na_sentinel=True)
    known = np.full((len(names), len(written) + 1), UNTOLD, dtype=np.int64)  # the last column serves index -1: missing
    number = np.full(len(written) + 1, np.nan)
    for column, text in enumerate(written):
        found = _read_set(str(text))
        if found is not None:
            known[:, column] = [found[name] for name in names]
            number[column] = found["n"] if found["n"] >= 0 else np.nan
    result: dict[str, pd.Categorical | FloatArray] = {
        name: words(known[row, index], outcomes.FINDING) for row, name in enumerate(names)
    }
    result["n_leak_routes"] = number[index]
    return result


def _read_set(text: str) -> dict[str, int] | None:
    """Codes in outcomes.FINDING by finding, and the number of routes (UNTOLD where unknown); None for an empty set."""
    items = {item.strip() for item in text.split(";")} - {""}
    strange = sorted(items - {*outcomes.LEAKS, NOT_ASSESSABLE})
    if strange:
        raise RegistryError(
            f"augmentations: leak '{strange[0]}' is no route; write {', '.join(outcomes.LEAKS)}, with ; between. "
            "`cohort normalize` translates other words."
        )
    if not items:
        return None
    routes = items - {"none", NOT_ASSESSABLE}
    unlisted = FINDING_NOT_ASSESSABLE if NOT_ASSESSABLE in items else FINDING_NO

    def state(*of: str) -> int:
        return FINDING_YES if routes & set(of) else unlisted

    sides = routes & set(_SIDES)
    side_unknown = "disc" in routes and not sides
    found = {f"leak_{route}": state(route) for route in ROUTES}
    found |= {f"leak_{side}": UNTOLD if side_unknown else state(side) for side in _SIDES}
    found |= {"leak_disc": state(*_DISCS), "leak_any": state(*outcomes.LEAKS[1:])}
    found["n"] = UNTOLD if NOT_ASSESSABLE in items else len(routes - {"disc"}) + side_unknown
    return found


def leaked_discs(
    findings: Mapping[str, pd.Categorical | FloatArray], place: IntArray, n_thoracic: IntArray, n_lumbar: IntArray
) -> dict[str, pd.Categorical]:
    """The name of the disc above and of the disc below that cement leaked into, in the patient's own spine.

    findings : of `leak_findings`. place, n_thoracic, n_lumbar : int64, shape (n,); position in the patient's own row.
    Missing where the finding is anything but yes (leak_disc_superior and leak_disc_inferior say which), and where there
    is no disc: above C1 and C2, below C1 and S1.

    >>> leak = leak_findings(pd.Series(["disc_superior;disc_inferior"]))
    >>> named = leaked_discs(leak, np.array([20]), np.array([13]), np.array([4]))  # L1 under a T13
    >>> named["leak_disc_above"].tolist(), named["leak_disc_below"].tolist()
    (['T13-L1'], ['L1-L2'])
    """
    own = spine.code_at(place, n_thoracic, n_lumbar)
    result = {}
    for name, side, upper, lower in (
        ("leak_disc_above", "leak_disc_superior", spine.code_at(place - 1, n_thoracic, n_lumbar), own),
        ("leak_disc_below", "leak_disc_inferior", own, spine.code_at(place + 1, n_thoracic, n_lumbar)),
    ):
        leaked = np.asarray(pd.Categorical(findings[side]) == "yes", dtype=bool)
        result[name] = words(np.where(leaked, _DISC_OF[upper, lower], UNTOLD), DISCS)
    return result


def cleft_state(cleft_before: pd.Series, cleft_filled: pd.Series, at_follow_up: IntArray) -> pd.Categorical:
    """What became of the intravertebral cleft: one of CLEFT_STATES, or missing.

    at_follow_up : state of `films.tells` on the films after the treatment and up to the next one of the level.

    The finding before treatment comes first. *yes*: filled, partly_filled, unfilled as `cleft_filled` says,
    filling_unknown where it does not; later films change nothing, since that cleft did not develop. *no*: developed if
    any later film shows a cleft, else absent, which says that none was there before treatment and none was seen since,
    not that anybody looked (cleft_at_follow_up says that). *not assessable or not recorded*: missing, whatever was
    filled or seen later.
    """
    before = tells(cleft_before)
    filling = codes(cleft_filled, _FILLINGS)
    filled = np.array([CLEFT_STATES.index(s) for s in ("filled", "partly_filled", "unfilled", "filling_unknown")])
    without = np.where(at_follow_up == YES, CLEFT_STATES.index("developed"), CLEFT_STATES.index("absent"))
    state = np.select([before == YES, before == NO], [filled[filling], without], UNTOLD)
    return words(state, CLEFT_STATES)


def endplates(augmentations: pd.DataFrame) -> dict[str, pd.Categorical]:
    """Which endplates cement reached, its published class, and whether it reached the fractured one.

    endplate_class: A both endplates, B1 the upper only, B2 the lower only, B3 neither (the middle of the body only).

    fractured_endplate_reached follows the mechanism `endplate_unfilled`: no as soon as one fractured endplate was not
    reached, yes where cement reached both, whichever broke. It differs in one place: with `fracture_endplate` none the
    mechanism is ruled out, but here there is no fractured endplate to reach, and yes as well as no would be untrue, so
    it is missing.
    """
    reached = codes(augmentations["cement_endplate"], _ENDPLATES)
    unfilled = endplate_unfilled(augmentations)
    none_broken = codes(augmentations["fracture_endplate"], _ENDPLATES) == _ENDPLATES.index("none")
    yes_no = np.select([none_broken, unfilled == 1, unfilled == 0], [UNTOLD, 0, 1], UNTOLD)
    contact = np.array([*(CONTACTS.index(word) for word in _CONTACT_OF), UNTOLD])
    classes = np.array([*(CLASSES.index(word) for word in _CLASS_OF), UNTOLD])
    return {
        "endplate_contact": words(contact[reached], CONTACTS),
        "endplate_class": words(classes[reached], CLASSES),
        "fractured_endplate_reached": words(yes_no, outcomes.YES_NO),
    }
