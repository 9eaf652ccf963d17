"""A published ratio stands beside the registry's own of the same exposure; the two are divided only if of one kind.

Of the registry's ratios the nearest is taken: first of the same refracture, then of the same measure, then crude for
crude and adjusted for adjusted. What still differs is said, in the order measure, refracture, adjustment, contrast,
unit, window, people, definition. A ratio of ratios needs the same refracture, measure, adjustment and contrast.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from cohort.domain.outcomes import REFRACTURE_RELATIONS
from cohort.domain.study import StudyDefinition
from cohort.literature import tables
from cohort.literature.arithmetic import Z_95
from cohort.literature.beside import SAME_WINDOW
from cohort.literature.poolable import MEASURES, poolable_effects
from cohort.literature.recompute_effects import ASYMMETRIC, recompute_effects
from cohort.tables.compared import NO_ESTIMATE
from cohort.tables.results import Estimates

KEYS: Final = ("study_key", "exposure", "outcome")
VOCABULARIES: Final[dict[str, tuple[str, ...]]] = {
    "registry_exposure": (
        "cleft", "leak", "height_restoration", "t_score", "corticosteroids", "anti_osteoporotic", "age", "female",
        "prior_fractures", "n_levels", "volume_ml", "thoracolumbar", "adjacent", "",
    ),
    "relation": (*REFRACTURE_RELATIONS, "any", "unstated", ""),
    "direction": ("as is", "inverted", "unstated", ""),
    "contrast": ("yes_no", "per_unit", "groups", "unstated", ""),
    "population": ("augmented", "not_augmented", "general", "unstated"),
}  # fmt: skip
COMPARES: Final = ("yes", "in part", "no")
COLUMNS: Final = (
    "study_key", "citation", "year", "exposure", "outcome", "measure", "adjustment", "meta_analysis", "published",
    "published_low", "published_high", "source", "confidence", "registry_exposure", "relation", "direction", "contrast",
    "per", "taken", "taken_low", "taken_high", "registry_relation", "registry_measure", "registry_model",
    "registry_adjusted_for", "registry_unit", "n_events", "n_patients", "estimate", "conf_low", "conf_high", "ratio",
    "ratio_low", "ratio_high", "compares", "differs", "note",
)  # fmt: skip
STEPS: Final = {  # of an exposure that is a number: the difference a registry's ratio is for, in the column's own unit
    "age": 10.0, "height_restoration": 0.1, "t_score": 1.0, "prior_fractures": 1.0, "n_levels": 1.0, "volume_ml": 1.0,
}  # fmt: skip
STEP_WORDS: Final = {
    "age": "10 years", "height_restoration": "10 percentage points", "t_score": "SD", "prior_fractures": "fracture",
    "n_levels": "level", "volume_ml": "ml",
}  # fmt: skip
EXPOSURES: Final = {
    "cleft": "a cleft", "leak": "a leak into the disc", "height_restoration": "height restored",
    "t_score": "the T-score", "corticosteroids": "corticosteroids", "anti_osteoporotic": "anti-osteoporotic drugs",
    "age": "age", "female": "sex", "prior_fractures": "earlier fractures", "n_levels": "the number of levels treated",
    "volume_ml": "the volume of cement", "thoracolumbar": "the thoracolumbar junction",
    "adjacent": "vertebrae next to a treated one",
}  # fmt: skip
UNLIKE: Final = {
    "treated_unstated": "It is not stated whether treated vertebrae count; in the registry they do.",
    "far_reference": "Compared with vertebrae far away; here with all not next to a treated one, of the same patient.",
    "symptomatic_only": "Only fractures with symptoms count; here all that were recorded.",
    "progressed": "Fractures that progressed count as well.",
    "recollapse": "What counts as collapse of a treated vertebra is not stated; here as the study file defines it.",
    "collapse": "Collapse is counted; here fracture.",
    "leak_any": "A leak of any kind; here one into the disc.",
    "one_drug": "One drug; here any anti-osteoporotic drug.",
    "reference_unstated": "What it is compared with is not stated; here with none.",
    "dose_class": "One class of dose; here any chronic use.",
    "timing_unstated": "When it was taken is not stated.",
    "use_unstated": "How long it was taken is not stated; here chronic use.",
    "baseline_count": "Whether the fractures treated are counted is not stated; here those before treatment.",
    "history_unstated": "Of which bones the fractures were is not stated; here of vertebrae.",
    "fractures_unstated": "Whether the fractures were those treated is not stated; here the levels treated.",
    "junction_unstated": "Which levels are the junction is not stated; here as the study file says.",
    "lumbar_bmd": "Density of the lumbar spine; here the lowest T-score recorded.",
    "hip_bmd": "Density of the hip; here the lowest T-score recorded.",
    "bmd_place_unstated": "Where density was measured is not stated; here the lowest T-score recorded.",
    "height_unstated": "How restored height was measured is not stated; here anterior height.",
    "women_only": "Postmenopausal women only.",
    "elderly_only": "The elderly only.",
    "vertebroplasty_only": "Vertebroplasty only; here every technique.",
    "kyphoplasty_only": "Kyphoplasty only; here every technique.",
}  # fmt: skip
_NEAREST: Final = {"HR": ("HR", "RR", "OR"), "RR": ("RR", "HR", "OR"), "OR": ("OR", "RR", "HR")}
_NEXT: Final = ("adjacent", "remote", "same")  # stands for any refracture where the registry has no ratio of that
_NAMES: Final = {"HR": "hazard ratio", "RR": "risk ratio", "OR": "odds ratio"}
_PEOPLE: Final = {
    "augmented": "",
    "not_augmented": "Not only of augmented patients.",
    "general": "Of the general population; here of augmented patients.",
    "unstated": "It is not stated that everybody was augmented; here everybody was.",
}
_OWN: Final = (
    "exposure", "relation", "measure", "model", "adjusted_for", "unit", "n_events", "n_patients", "estimate",
    "conf_low", "conf_high", "step", "every_episode",
)  # fmt: skip
_FLOATS: Final = (
    "year", "published", "published_low", "published_high", "per", "taken", "taken_low", "taken_high", "n_events",
    "n_patients", "estimate", "conf_low", "conf_high", "ratio", "ratio_low", "ratio_high",
)  # fmt: skip


def effect_definitions() -> pd.DataFrame:
    """What each published effect is, in closed vocabularies (`VOCABULARIES`, `UNLIKE`), one row per row of effects.csv.

    Text, "" where blank; `per` is float64, NaN where blank.

    >>> effect_definitions().query("study_key == 'klazen2010_vertos2'")[["registry_exposure", "per"]].values.tolist()
    [['prior_fractures', 1.0]]
    """
    frame = tables.as_printed("effect_definitions")
    frame["per"] = pd.to_numeric(frame["per"].where(frame["per"] != "")).astype("float64")
    return frame


def published_effects() -> pd.DataFrame:
    """The published effects with what each is: measure and adjustment in closed words, definition, and its interval.

    The columns of `poolable_effects` and `effect_definitions`, `mixed` (bool: pooled over crude and adjusted ratios)
    and `interval` of `recompute_effects`.
    """
    frame = poolable_effects("", with_meta_analyses=True).drop(columns=["taken", "why"])
    frame["mixed"] = tables.effects()["adjusted"].eq("mixed").to_numpy()
    frame["interval"] = recompute_effects()["interval"].to_numpy()
    return frame.merge(effect_definitions(), on=list(KEYS), how="left", validate="one_to_one")


def beside_effects(
    cox: Estimates,
    logistic: Estimates,
    study: StudyDefinition,
    *,
    effects: Estimates | None = None,
    recurrent: Estimates | None = None,
    within: Estimates | None = None,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The published ratios beside the registry's own, one row per row of effects.csv, in its order.

    cox, logistic : hazard ratios, and odds ratios at the study's horizon, as in `StudyResults`; rows of outcome "any"
        are taken too. effects : of `RiskFactors`: risk ratios, and hazard ratios of exposures that `cox` lacks.
        recurrent : of `Further`; the Andersen-Gill ratios stand for any refracture. within : of `Further`; adjacent
        against remote vertebrae. published : `published_effects()` unless given.

    Returns the columns of `COLUMNS`, unrounded; what is blank was not published or is not in the registry.
    `published` : as printed. `taken` : the same in the registry's direction and for the registry's step of a number;
    missing where that cannot be had. `estimate` : the registry's. `ratio` : registry over published, the two taken as
    independent, with an interval from both intervals (on the log scale, at the study's confidence; published intervals
    are taken as 95 %). `compares` : yes, in part, no. `differs` : why, in sentences. `note` : what is missing for the
    ratio of ratios.

    >>> row = {"outcome": "same", "exposure": "cleft", "model": "crude", "n_events": 40, "n_patients": 900}
    >>> odds = Estimates(pd.DataFrame([{**row, "estimate": 2.0, "conf_low": 1.0, "conf_high": 4.0}]))
    >>> found = beside_effects(Estimates(pd.DataFrame()), odds, StudyDefinition())
    >>> found.query("registry_exposure == 'cleft'")[["published", "estimate", "ratio"]].round(3).values.tolist()
    [[2.97, 2.0, 0.673]]
    """
    frame = published_effects() if published is None else published
    own = _own_ratios(cox, logistic, effects, recurrent, within)
    by_exposure = {str(name): block.to_dict("records") for name, block in own.groupby("exposure", sort=False)}
    # The published effects are few; nothing here grows with the registry.
    rows = [_place(row, by_exposure.get(str(row["registry_exposure"]), []), study) for row in frame.to_dict("records")]
    out = pd.DataFrame(rows, columns=list(COLUMNS))
    return out.astype(dict.fromkeys(_FLOATS, "float64"))


def _own_ratios(
    cox: Estimates,
    logistic: Estimates,
    effects: Estimates | None,
    recurrent: Estimates | None,
    within: Estimates | None,
) -> pd.DataFrame:
    """Every ratio of the registry in one frame with the columns of `_OWN`; of two alike the first."""
    parts = [_listed(cox.frame, "HR", "vertebra at risk"), _listed(logistic.frame, "OR", "patient")]
    if effects is not None and len(effects):
        of = effects.frame["measure"]
        parts.append(_listed(effects.frame[of == "hazard_ratio"], "HR", "vertebra at risk"))
        parts.append(_listed(effects.frame[of == "risk_ratio"], "RR"))
    if recurrent is not None and len(recurrent):
        episodes = recurrent.frame[recurrent.frame["clock"] == "andersen_gill"]
        parts.append(_listed(episodes.assign(outcome="any"), "HR", "patient").assign(every_episode=True))
    if within is not None and len(within):
        pairs = within.frame.assign(
            exposure="adjacent", outcome="any", model=within.frame["model"].replace({"level": "adjusted"}),
            adjusted_for=np.where(within.frame["model"] == "level", "patient, level", "patient"),
            n_events=within.frame["n_informative_events"], n_patients=within.frame["n_informative_patients"],
        )  # fmt: skip
        parts.append(_listed(pairs, "HR", "vertebra at risk"))
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(_OWN))
    return pd.concat(filled, ignore_index=True).drop_duplicates(["exposure", "relation", "measure", "model"])


def _listed(frame: pd.DataFrame, measure: str, unit: str = "") -> pd.DataFrame:
    if frame.empty:
        return pd.DataFrame(columns=list(_OWN))
    out = frame.rename(columns={"outcome": "relation"}).assign(measure=measure, every_episode=False)
    out["step"] = out["exposure"].map(STEPS).astype("float64")
    if {"contrast_from", "contrast_to"} <= set(out.columns) and measure == "RR":
        out["step"] *= out["contrast_to"] - out["contrast_from"]
    out["unit"] = unit or out["unit"]
    out = out.reindex(columns=list(_OWN))
    return out.assign(adjusted_for=out["adjusted_for"].fillna(""))


@dataclass
class _Said:
    """What differs so far: quantities that cannot be compared, and one quantity under different conditions."""

    different: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    divides: bool = True

    def condition(self, sentence: str, *, divides: bool = True) -> None:
        self.conditions += [sentence] if sentence else []
        self.divides = self.divides and divides

    @property
    def compares(self) -> str:
        return "no" if self.different else "in part" if self.conditions else "yes"

    @property
    def differs(self) -> str:
        return " ".join([*self.different, *self.conditions])


def _place(row: Mapping[Hashable, Any], own: list[dict[Hashable, Any]], study: StudyDefinition) -> dict[str, Any]:
    said = _Said()
    out: dict[str, Any] = {name: row.get(name, "") for name in COLUMNS[:8]}
    printed = (float(row["estimate"]), float(row["ci_low"]), float(row["ci_high"]))
    out |= dict(zip(("published", "published_low", "published_high"), printed, strict=True))
    out |= {name: row[name] for name in COLUMNS[11:18]}
    out |= dict.fromkeys(COLUMNS[18:21], np.nan) | dict.fromkeys(COLUMNS[21:26], "")
    out |= dict.fromkeys(COLUMNS[26:34], np.nan) | {"note": ""}
    exposure = str(row["registry_exposure"])
    found = _nearest(row, own) if exposure and row["measure"] in MEASURES else None
    if found is None:
        why = str(row["no_counterpart"]) or f"the registry's results hold no ratio of its own for {EXPOSURES[exposure]}"
        said.different.append(f"{why[:1].upper()}{why[1:]}.")
        return {**out, "compares": said.compares, "differs": said.differs}
    taken = _taken(row, printed, float(found["step"]))
    out |= dict(zip(("taken", "taken_low", "taken_high"), taken, strict=True))
    out |= {f"registry_{name}": found[name] for name in ("relation", "measure", "model", "adjusted_for", "unit")}
    mine = (float(found["estimate"]), float(found["conf_low"]), float(found["conf_high"]))
    out |= {"n_events": found["n_events"], "n_patients": found["n_patients"]}
    out |= dict(zip(("estimate", "conf_low", "conf_high"), mine, strict=True))
    _judge(row, found, study, said)
    if said.divides and not said.different:
        ratio, notes = _divided(taken, mine, study.models.confidence, skewed=row["interval"] == ASYMMETRIC)
        out |= dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)) | {"note": " ".join(notes)}
    return {**out, "compares": said.compares, "differs": said.differs}


def _nearest(row: Mapping[Hashable, Any], own: list[dict[Hashable, Any]]) -> dict[Hashable, Any] | None:
    """The registry's ratio nearest to a published one; None without any that is of it or of a part of it."""
    wanted = str(row["relation"]).replace("unstated", "any")
    relations = ("any", *_NEXT) if wanted == "any" else (wanted,)
    measures = _NEAREST[str(row["measure"])]
    model = "crude" if row["adjustment"] == "crude" else "adjusted"
    usable = [one for one in own if one["relation"] in relations]

    def distance(one: Mapping[Hashable, Any]) -> tuple[bool, int, int, bool]:
        told = math.isfinite(one["estimate"]) and one["estimate"] > 0
        place = (relations.index(str(one["relation"])), measures.index(str(one["measure"])))
        return (not told, *place, one["model"] != model)

    return min(usable, key=distance) if usable else None


def _taken(row: Mapping[Hashable, Any], printed: tuple[float, float, float], step: float) -> tuple[float, float, float]:
    """A published ratio in the registry's direction and for its step; NaN where it cannot be had.

    A ratio per unit of a number is one for any other difference of it as a power; of groups there is no such power.
    """
    if row["direction"] not in ("as is", "inverted"):
        return (np.nan, np.nan, np.nan)
    power = 1.0 if row["direction"] == "as is" else -1.0
    if row["contrast"] == "per_unit" and row["per"] > 0 and math.isfinite(step):
        power *= step / float(row["per"])
    estimate, low, high = (float(np.power(value, power)) if value > 0 else np.nan for value in printed)
    return (estimate, low, high) if power > 0 else (estimate, high, low)


def _divided(
    published: tuple[float, float, float], own: tuple[float, float, float], confidence: float, *, skewed: bool
) -> tuple[tuple[float, float, float], list[str]]:
    """Registry over published with its interval, and what is missing for that."""
    estimate = own[0] / published[0]
    notes = []
    if not np.isfinite(published[1:]).all():
        notes.append("No interval is printed, so the ratio of the two has none.")
    elif skewed:
        notes.append("The printed ratio is not in the middle of its interval, so the ratio of the two has none.")
    if not (np.isfinite(own[1:]).all() and min(own[1:]) > 0):
        notes.append("The registry's interval has no end, so the ratio of the two has none.")
    if notes:
        return (estimate, np.nan, np.nan), notes
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    errors = [math.log(high / low) / (2 * q) for (_, low, high), q in ((published, Z_95), (own, z))]
    reach = z * math.hypot(*errors)
    return (estimate, estimate * math.exp(-reach), estimate * math.exp(reach)), notes


def _judge(row: Mapping[Hashable, Any], own: Mapping[Hashable, Any], study: StudyDefinition, said: _Said) -> None:
    if row["direction"] == "unstated":
        said.different.append("Which of the two is compared with the other is not stated.")
    if not (math.isfinite(own["estimate"]) and own["estimate"] > 0):
        said.different.append(NO_ESTIMATE)
    measure, relation = str(own["measure"]), str(row["relation"])
    if measure != row["measure"]:
        theirs, ours = _NAMES[str(row["measure"])], _NAMES[measure]
        said.condition(f"The published one is {_a(theirs)}, the registry's {_a(ours)}.", divides=False)
    if relation == "unstated":
        said.condition("Which vertebrae count is not stated.")
    if own["relation"] != relation.replace("unstated", "any"):
        said.condition(f"The registry has no ratio of any refracture; here of {own['relation']} ones.", divides=False)
    if own["every_episode"]:
        said.condition("Every refracture of a patient counts here; whether only the first did there is not stated.")
    _judge_adjustment(row, str(own["model"]), said)
    number = math.isfinite(own["step"])
    alike = row["contrast"] == ("per_unit" if number else "yes_no")
    if not alike:
        here = f"here per {STEP_WORDS[str(row['registry_exposure'])]}" if number else "here with it and without"
        there = (
            "Groups are compared there" if row["contrast"] == "groups" else "Which values are compared is not stated"
        )
        said.condition(f"{there}, {here}: only the direction compares.", divides=False)
    if ("vertebra" in str(row["unit"])) != ("vertebra" in str(own["unit"])):
        said.condition(f"Counted by {row['unit']}; here by {own['unit']}.")
    _judge_window(str(row["window_days"]), measure, study, said)
    said.condition(_PEOPLE[str(row["population"])])
    for code in filter(None, str(row["unlike"]).split("; ")):
        said.condition(UNLIKE[code])


def _judge_adjustment(row: Mapping[Hashable, Any], model: str, said: _Said) -> None:
    adjustment = str(row["adjustment"])
    if row["mixed"]:
        said.condition(f"Crude and adjusted ratios are mixed in it; here {model}.")
    elif adjustment == "randomised":
        said.condition(f"Drawn by lot there; here not, and {model}.", divides=model == "adjusted")
    elif adjustment == "unclear":
        said.condition(f"Whether it is adjusted is not stated; here {model}.")
    elif adjustment != model:
        said.condition(f"The published one is {adjustment}; the registry has only the {model} one.", divides=False)
    elif adjustment == "adjusted":
        said.condition("What it is adjusted for is not held as data.")
    if row["meta_analysis"]:
        said.condition("Pooled over studies with different follow-up and definitions.")


def _judge_window(written: str, measure: str, study: StudyDefinition, said: _Said) -> None:
    horizon = study.models.horizon_days
    here = "all follow-up" if measure == "HR" else f"{horizon} days"
    if written in ("", "unstated"):
        said.condition(f"The length of follow-up is not stated; here {here}.")
    elif measure == "HR" or abs(float(written) - horizon) > SAME_WINDOW * horizon:
        said.condition(f"Within {float(written):.0f} days; here {here}.")


def _a(words: str) -> str:
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words}"
