"""Fine-Gray against R's finegray() and coxph(), with late entry and clusters, and beside cmprsk::crr."""

import pytest

from cohort.estimate import fine_gray

R_STOPS_EARLY = 1e-7
PBC, MELANOMA = ["age", "sexf", "lbili"], ["ulcer", "sexm", "age", "logthick"]


def same_model(ours, gold, agree, rel):
    agree(ours.frame["coef"], list(gold["coef"].values()), rel, "coef")
    agree(ours.frame["std_error"], list(gold["se"].values()), rel, "robust SE")
    agree(ours.frame["naive_std_error"], list(gold["se_naive"].values()), rel, "naive SE")
    agree(ours.settings["loglik"], gold["loglik"], 1e-10, "log-likelihood")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_public_data_give_what_finegray_and_coxph_give(ties, reference, outputs, data, agree):
    ours = fine_gray(data("melanoma"), MELANOMA, exit="time", cause="status", of=1, ties=ties)
    same_model(ours, reference[f"mel_fg_{ties}"], agree, R_STOPS_EARLY)
    ours = fine_gray(data("pbc"), PBC, exit="time", cause="status", of=2, ties=ties)
    same_model(ours, outputs("finegray")[f"pbc_{ties}"], agree, 1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_where_coxph_stops_early_it_is_off_by_a_millionth_of_a_standard_error(ties, reference, data):
    """The coefficient of sex is 0.0029, its standard error 0.24: a relative tolerance would ask for nothing real."""
    ours = fine_gray(data("pbc"), PBC, exit="time", cause="status", of=2, ties=ties).frame
    for mine, error, theirs in zip(
        ours["coef"], ours["std_error"], reference[f"pbc_fg_{ties}"]["coef"].values(), strict=True
    ):
        assert abs(mine - theirs) < 1e-6 * error


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(("which", "of"), [("refracture", 1), ("death", 2)])
@pytest.mark.parametrize("late", [False, True], ids=["start", "entry"])
def test_late_entry_and_clusters_give_what_finegray_and_coxph_give(late, which, of, ties, outputs, data, agree):
    rows = data("clustered") if late else data("clustered").query("entry == 0")
    ours = fine_gray(
        rows,
        ["leak", "age"],
        exit="exit",
        cause="cause",
        of=of,
        ties=ties,
        cluster="patient",
        entry="entry" if late else None,
        id="unit" if late else None,
    )
    same_model(ours, outputs("finegray")[f"{'entry' if late else 'start'}_{which}_{ties}"], agree, 1e-9)


def test_crr_is_near_but_not_the_same(reference, data):
    """crr is Breslow with its own order of losses, and lets its variance know that G was estimated."""
    ours = fine_gray(data("pbc"), PBC, exit="time", cause="status", of=2, ties="breslow").frame
    for mine, theirs in zip(ours["coef"], reference["pbc_crr"]["coef"].values(), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-3)
    for mine, theirs in zip(ours["std_error"], reference["pbc_crr"]["se"], strict=True):
        assert mine == pytest.approx(theirs, rel=2e-3)
