"""Published figures are pooled with figures of the same thing only, each patient once, and metafor gives the same.

tests/gold/pool.R names the studies one by one, so that it holds which figures are pooled as well as how.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from cohort.domain.errors import EstimationError
from cohort.literature.facts import facts
from cohort.literature.pool import pool, pool_effects, toward_literature, with_registry
from cohort.literature.poolable import poolable, poolable_effects

GOLD = json.loads((Path(__file__).parents[2] / "gold" / "pool.json").read_text())["outputs"]
SHARES = [("same_radiographic", "same", "radiographic"), ("adjacent_unstated", "adjacent", "unstated")]
SHARES += [("any_unstated", "any", "unstated")]
CLOSED = 1e-9  # both converge
LIKELIHOOD = 5e-5  # rma.glmm differentiates numerically; both take 15 points


@pytest.fixture(scope="module")
def everything() -> pd.DataFrame:
    return poolable()


@pytest.fixture(scope="module")
def adjacent():
    return pool("adjacent", tier="unstated")


def agree(ours, theirs, rel):
    np.testing.assert_allclose(np.asarray(ours, dtype=float).ravel(), np.asarray(theirs, dtype=float).ravel(), rtol=rel)


def taken(relation, **options):
    table = poolable(relation, **options)
    return table[table["taken"]]


@pytest.mark.parametrize(("name", "relation", "tier"), SHARES)
def test_the_shares_of_a_relation_are_pooled_as_metafor_pools_them(name, relation, tier):
    theirs, found = GOLD["shares"][name], pool(relation, tier=tier)
    assert found.studies["study"].tolist() == theirs["study"]
    assert found.studies[["n_events", "n"]].to_numpy().T.tolist() == [theirs["xi"], theirs["ni"]]
    glmm, ft = theirs["glmm"], theirs["ft"]
    agree(
        found.pooled[["coef", "std_error", "tau2", "i2"]], [glmm["b"], glmm["se"], glmm["tau2"], glmm["I2"]], LIKELIHOOD
    )
    agree(found.pooled[["conf_low", "conf_high"]], expit([glmm["low"], glmm["high"]]), LIKELIHOOD)
    agree(found.prediction[["conf_low", "conf_high"]], expit(glmm["riley"]), LIKELIHOOD)
    agree(found.without_each.frame[["coef", "tau2"]], [[one["b"], one["tau2"]] for one in theirs["leave"]], LIKELIHOOD)
    beside = found.beside.frame.query("row == 'pooled'").iloc[0]
    agree(beside[["coef", "std_error", "tau2", "i2"]], [ft["b"], ft["se"], ft["tau2"], ft["I2"]], CLOSED)
    agree(beside[["estimate", "conf_low", "conf_high"]], ft["read"][:3], CLOSED)
    ahead = found.beside.frame.query("row == 'prediction'").iloc[0]
    agree(ahead[["conf_low", "conf_high"]], ft["read"][3:], CLOSED)
    if len(found.studies) >= 10:
        slopes = found.egger.frame.query("term == 'slope'").set_index("model")
        agree(slopes.loc["egger", ["statistic", "p_value"]], [ft["egger"]["stat"], ft["egger"]["p"]], CLOSED)
        agree(
            slopes.loc["random_effects", ["statistic", "p_value"]], [ft["regtest"]["stat"], ft["regtest"]["p"]], CLOSED
        )
    else:
        assert found.egger is None
        assert found.funnel is None


@pytest.mark.parametrize(
    ("name", "exposure", "options"),
    [
        ("hounsfield", "^HU|Hounsfield", {}),
        ("leak_of_every_kind", "leak", {"measure": "OR", "across_adjustments": True, "with_meta_analyses": True}),
    ],
)
def test_ratios_are_pooled_as_metafor_pools_them(name, exposure, options):
    theirs, found = GOLD["ratios"][name], pool_effects(exposure, "fracture|VCF", **options)
    assert found.studies["study"].tolist() == theirs["study"]
    agree(found.studies[["log_ratio", "std_error"]].T, [theirs["yi"], theirs["sei"]], CLOSED)
    names = ["coef", "std_error", "tau2", "i2", "p_value"]
    agree(found.pooled[names], [theirs[key] for key in ("b", "se", "tau2", "I2", "p")], CLOSED)
    agree(found.pooled[["conf_low", "conf_high"]], np.exp([theirs["low"], theirs["high"]]), CLOSED)
    agree(found.without_each.frame["coef"], theirs["leave"], CLOSED)
    if len(found.studies) > 2:
        agree(found.prediction[["conf_low", "conf_high"]], np.exp(theirs["riley"]), CLOSED)
    else:
        assert found.prediction[["conf_low", "conf_high"]].isna().all()


def test_no_tiers_are_mixed_unless_that_is_asked_for_and_then_it_is_said(adjacent):
    with pytest.raises(EstimationError, match=r"unstated 8, clinical 1, radiographic 1.*across_tiers=True"):
        pool("adjacent")
    found = pool("adjacent", across_tiers=True)
    assert found.notes[0].startswith("Pooled across definitions (unstated 8, clinical 1, radiographic 1)")
    apart = found.by_tier.frame.query("row == 'pooled'").set_index("tier")
    agree(apart.loc["unstated", ["estimate", "tau2"]], adjacent.pooled[["estimate", "tau2"]], 1e-9)
    assert apart.loc["clinical", "n_studies"] == 1
    assert adjacent.by_tier is None


def test_units_are_mixed_only_when_asked_for_and_a_study_still_counts_once():
    # kimsh2004 counted untreated vertebrae; every other study of any level counted patients.
    assert "kimsh2004" not in set(pool("any", tier="unstated").studies["study"])
    found = pool("any", tier="unstated", across_units=True)
    assert any(note.startswith("Pooled across units (patient 14, untreated_vertebra 1)") for note in found.notes)
    # hiwatashi2009 gave both vertebrae and patients: its patients count.
    same = poolable("same", tier="radiographic").query("study_key == 'hiwatashi2009'").set_index("unit")
    assert same["taken"].to_dict() == {"treated_vertebra": False, "patient": True}
    assert (
        same.loc["treated_vertebra", "why"]
        == "the same patients as 'patients with further collapse of treated vertebra'"
    )


def test_no_patient_counts_twice(everything):
    chosen = everything[everything["taken"]]
    for _, rows in chosen.groupby(["study_key", "relation"]):
        if len(rows) > 1:
            assert rows["why"].str.contains("without a common patient").all()
            assert rows[["unit", "tier", "window_days"]].drop_duplicates().shape[0] == 1
    # The whole cohort rather than its subgroups.
    whole = chosen.query("study_key == 'liu_ds2021'")
    assert whole["denominator"].tolist() == [385]
    assert everything.query("study_key == 'liu_ds2021' and not taken")["why"].str.startswith("a subgroup of").sum() == 8


def test_every_figure_is_either_taken_or_left_out_with_a_reason(everything):
    assert len(everything) == len(facts())
    assert (everything.loc[~everything["taken"], "why"].str.len() > 0).all()
    kept = everything[everything["taken"]]
    assert kept[["numerator", "denominator"]].notna().all(axis=None)
    assert (kept["numerator"] <= kept["denominator"]).all()
    assert not kept["arm"].str.contains("not augmented|augmented or not|refractured").any()


CASES = """
    study_key           | quantity                                                      | why
    klazen2010_vertos2  | new VCF incidence, conservative arm                           | not augmented
    horizon_rft2007     | new clinical vertebral fracture, zoledronate                  | no level of the spine
    komemushi2006       | new fractures located adjacent                                | those with the event
    josr2022meta        | re-fracture after PVP/PKP (crude pooled)                      | pooled from several studies
    bmc2021refrac       | refractured cases within the analysed sample                  | set by the sampling
    ma2021meta          | recollapse cases in pooled case-control sample                | set by the sampling
    jacobson2017        | same-level refracture, large series as quoted by the review   | quoted by the review
    su_tptd             | new-onset VCF, teriparatide group                             | had fractured again already
    china_claims2020    | cumulative re-surgery rate at 1 year                          | allows for censoring
    alali               | any refracture within 1 year                                  | not printed
    bmc2016_adjcollapse | adjacent collapse within first month                          | left out by selection
    hu2020zol           | new vertebral fracture, zoledronate arm                       | a drug given to every
    bmc2020_endplate    | recompression, cement touching both endplates (group A)       | a subgroup of
    kimsh2004           | 1-year fracture-free rate of vertebrae (KM)                   | the share without the event
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines()[1:])
def test_why_a_figure_is_left_out(case, everything):
    study, quantity, why = (part.strip() for part in case.split("|"))
    row = everything[(everything["study_key"] == study) & (everything["quantity"] == quantity)].iloc[0]
    assert not row["taken"]
    assert why in row["why"]


def test_a_figure_of_another_tier_or_unit_or_window_says_so():
    table = poolable("adjacent", unit="patient", tier="clinical", window=(300, 400))
    why = table.set_index(["study_key", "quantity"])["why"]
    assert table.loc[table["taken"], "study_key"].tolist() == ["multifidus2022"]
    assert why["swissspine2013", "adjacent vertebral fracture after monosegmental BKP"] == "tier unstated, not clinical"
    assert (
        poolable("adjacent", window=(300, 400)).set_index("study_key")["why"]["kimjh2015"] == "followed for 2885 days"
    )
    assert poolable("adjacent", window=(300, 400)).set_index("study_key")["why"]["zhou2023"] == "no window is given"
    vertebra = poolable("same", unit="treated_vertebra").query("study_key == 'lin2008'")
    assert vertebra["why"].tolist() == ["counted by patient, not by treated vertebra"]


def test_arms_without_a_common_patient_are_added_and_the_result_says_so():
    found = pool("same", tier="radiographic", window=(365, 365))
    row = found.studies.set_index("study").loc["zhangzj_pvp_pkp"]
    assert row[["n_events", "n", "figures"]].tolist() == [29 + 34, 536 + 273, 2]
    assert "Arms without a common patient were added together in zhangzj_pvp_pkp." in found.notes


def test_what_is_unlike_between_studies_is_said():
    notes = pool("any", tier="unstated").notes
    assert any(note.startswith("Follow-up differs (") and "183 to 1096 days" in note for note in notes)
    assert "Fractures of treated vertebrae are not counted in klazen2010_vertos2, zol_pkp2020." in notes
    assert "Every patient had a drug under study in romo_bkp." in notes
    assert any(note.startswith("How surely the figures were read: read in abstract") for note in notes)
    assert "A number was worked out from a printed per cent in zol_pkp2020." in pool("same", tier="radiographic").notes
    restricted = pool("any", tier="clinical").notes
    assert any("lincc2007 (region thoracolumbar, cleft yes)" in note for note in restricted)


def test_clinical_same_level_refracture_has_no_published_share_to_pool():
    # The definition that the registry takes as its main one is the one that nobody printed a numerator for.
    with pytest.raises(EstimationError, match=r"No published share of same-level.*tier radiographic, not clinical"):
        pool("same", tier="clinical")


def test_one_study_is_its_own_estimate():
    found = pool("remote")
    assert found.pooled[["n_events", "n_patients"]].tolist() == [6, 26]
    assert found.without_each is None
    assert "One study: its own estimate and limits, nothing is pooled." in found.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"relation": "caudal"}, "relation must be one of same, adjacent, remote, any"),
        ({"relation": "same", "unit": "hip"}, "unit must be one of"),
        ({"relation": "same", "tier": "loud"}, "tier must be one of"),
        ({"relation": "same", "window": (400, 300)}, "window is 400 to 300 days"),
        ({"relation": "same", "window": (1, 2)}, "No published share"),
    ],
)
def test_a_word_or_window_that_cannot_be_is_refused(options, words):
    with pytest.raises(EstimationError, match=words):
        pool(**options)


def test_the_model_asked_for_comes_first_and_the_other_beside_it():
    likelihood, arcsines = pool("same"), pool("same", method="freeman_tukey")
    assert arcsines.pooled["estimate"] == likelihood.beside.frame.query("row == 'pooled'")["estimate"].iloc[0]
    assert arcsines.beside.frame.query("row == 'pooled'")["estimate"].iloc[0] == likelihood.pooled["estimate"]


def test_the_registry_is_one_more_study(adjacent):
    both = with_registry(adjacent, 30, 310, window_days=365)
    theirs = GOLD["with_registry"]
    agree(both.pooled[["coef", "std_error", "tau2"]], [theirs["b"], theirs["se"], theirs["tau2"]], LIKELIHOOD)
    assert both.notes[0] == "'registry' is one of the studies."
    assert len(adjacent.studies) == 8
    assert both.studies["study"].tolist()[-1] == "registry"
    # A registry without an event has no logit; among the studies it has a value all the same.
    none = with_registry(adjacent, 0, 40).estimates.frame.query("study == 'registry'")
    assert 0 < float(none["shrunken"].iloc[0]) < 0.14
    with pytest.raises(EstimationError, match="already among the studies"):
        with_registry(both, 30, 310)
    with pytest.raises(EstimationError, match="several tiers"):
        with_registry(pool("any", across_tiers=True, window=(360, 370)), 30, 310)
    with pytest.raises(EstimationError, match="these are ratios"):
        with_registry(pool_effects("HU"), 30, 310)


def test_the_registry_drawn_towards_the_literature_shows_the_prior(adjacent):
    theirs = GOLD["toward"]
    found = toward_literature(theirs["share"], theirs["error"], adjacent)
    rows = found.frame.set_index("row")
    agree(rows.loc["prior", ["coef", "std_error"]], theirs["prior"], LIKELIHOOD)
    agree(rows.loc["shrunken", ["coef", "std_error"]], [theirs["b"], theirs["se"]], LIKELIHOOD)
    agree(rows.loc[["prior", "registry"], "weight"], theirs["weight"], 1e-4)
    # Asked of double arcsines, the likelihood beside them is taken.
    again = toward_literature(0.1, 0.02, pool("adjacent", tier="unstated", method="freeman_tukey")).frame
    pd.testing.assert_frame_equal(again, toward_literature(0.1, 0.02, adjacent).frame)
    assert found.settings["notes"]


def test_the_registry_is_not_drawn_towards_itself_nor_towards_one_study():
    with pytest.raises(EstimationError, match="drawn towards itself"):
        toward_literature(0.1, 0.02, with_registry(pool("adjacent", tier="clinical"), 30, 310))
    with pytest.raises(EstimationError, match="at least two studies"):
        toward_literature(0.2, 0.05, pool("remote"))


def test_a_ratio_of_the_registry_is_drawn_towards_published_ratios():
    found = toward_literature(0.95, 0.02, pool_effects("HU"), error_of="coef").frame.set_index("row")
    assert 0.95 < found.loc["shrunken", "estimate"] < found.loc["prior", "estimate"]


def test_measures_and_adjustments_are_mixed_only_when_asked_for_and_then_it_is_said():
    with pytest.raises(EstimationError, match=r"not of one measure \(OR 2, HR 1\)"):
        pool_effects("leak")
    with pytest.raises(EstimationError, match=r"not of one adjustment \(adjusted 1, crude 1\)"):
        pool_effects("leak", measure="OR")
    assert pool_effects("leak", measure="OR", adjustment="crude").studies["study"].tolist() == ["liu_ds2021"]
    found = pool_effects("leak", across_measures=True, across_adjustments=True)
    assert any(note.startswith("Pooled across measures (OR 2, HR 1)") for note in found.notes)
    assert any(note.startswith("Pooled across adjustments (adjusted 1, unclear 1, crude 1)") for note in found.notes)
    assert any(note.startswith("Taken as one exposure: ") for note in found.notes)


def test_a_meta_analysis_is_not_pooled_with_studies_that_may_be_inside_it():
    with pytest.raises(EstimationError, match="1 a meta-analysis, whose studies would count twice"):
        pool_effects("cleft")
    found = pool_effects("cleft", with_meta_analyses=True)
    assert found.pooled["estimate"] == pytest.approx(2.97)
    assert any(note.startswith("Meta-analyses are among the studies (ma2021meta)") for note in found.notes)


def test_several_ratios_of_one_study_are_refused():
    with pytest.raises(EstimationError, match="mudano2009 has 2 ratios that fit"):
        pool_effects("PVP/PKP vs untreated")
    assert pool_effects("PVP/PKP vs untreated", "90 days").pooled["estimate"] == pytest.approx(6.8)


def test_why_a_ratio_is_left_out():
    why = poolable_effects("hemi|^leak|HU|nomogram|AUC", "").set_index("study_key")["why"].to_dict()
    assert why["knavel2009"] == "not in the middle of its own interval on the log scale"
    assert why["vbq2025"] == "no interval printed"
    assert why["gao2024nomo"] == "no ratio: AUC"
    assert why["avf674_2024"] == ""
    vertebra = poolable_effects("1 segment", unit="vertebra", measure="OR")
    assert vertebra["why"].tolist() == ["no interval printed"]
    with pytest.raises(EstimationError, match="none has these words"):
        pool_effects("nothing of the kind")
    with pytest.raises(EstimationError, match="no regular expression"):
        pool_effects("age (years")
    with pytest.raises(EstimationError, match="measure must be one of OR, HR, RR"):
        pool_effects("HU", measure="kappa")
