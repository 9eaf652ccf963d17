"""What comes after the first event as printed and drawn: units said, small counts hidden, nothing from nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import cohort as toolkit
from cohort.pipeline import analysis, courses, prepare
from cohort.pipeline.recurrence import count_curves, counts_of, time_lost
from cohort.pipeline.stages import where_possible
from cohort.present import theme
from cohort.present.disclosure import Disclosure
from cohort.present.figures import recurrence, shape
from cohort.present.tables import further, ratios
from cohort.report.build import report_files
from cohort.synthetic import simulate
from cohort.tables.results import Registry
from cohort.tables.study_results import Further

PUBLIC, INTERNAL = Disclosure(5), Disclosure(5, internal=True)
STATES = ("no_event", "same", "adjacent", "remote", "re_augmented", "dead")
NOTE = "events in only 12 clusters: the robust standard error tends to be too small"


def texts(table):
    return [[cell.text for cell in row.cells] for row in table.rows if row.kind != "group"]


def headings(table):
    return [row.cells[0].text for row in table.rows if row.kind == "group"]


def limits(frame):
    return frame.assign(
        conf_low=frame["estimate"] * 0.8, conf_high=frame["estimate"] * 1.2, std_error=frame["estimate"] * 0.1
    )


@pytest.fixture
def states():
    moves = {"no_event": 0, "same": 12, "adjacent": 98, "remote": 55, "re_augmented": 78, "dead": 49}
    rows = []
    for measure, time, share in (("state_probability", 90, 0.01), ("mean_days_in_state", 730, 10.0)):
        rows += [(state, time, measure, 1857, n, 40, share * (k + 1), "") for k, (state, n) in enumerate(moves.items())]
    columns = ["outcome", "time", "measure", "n_patients", "n_events", "n_risk", "estimate", "note"]
    return limits(pd.DataFrame(rows, columns=columns))


@pytest.fixture
def transitions():
    rows = [
        ("no_event", "same", 100, 47, 47, 400.0, 11.75, ""),
        ("no_event", "dead", 100, 3, 3, 400.0, 0.75, ""),
        ("same", "same", 47, 9, 4, 80.0, 11.25, ""),
        ("remote", "dead", 3, 0, 0, 2.0, 0.0, ""),
    ]
    columns = ["state_from", "state_to", "n_patients", "n_events", "n_clusters_with_event", "person_years", "estimate",
               "note"]  # fmt: skip
    return limits(pd.DataFrame(rows, columns=columns)).assign(measure="per 100 person-years", interval="robust")


@pytest.fixture
def counts():
    rows = [
        (outcome, time, "mean_cumulative_count", 1889, with_one, n, 1600, n / 1889, "")
        for time in (90, 365)
        for outcome, n, with_one in (("same", 12, 11), ("adjacent", 100, 98), ("remote", 59, 55), ("any", 170, 150))
    ]
    columns = ["outcome", "time", "measure", "n_patients", "n_clusters_with_event", "n_events", "n_risk", "estimate",
               "note"]  # fmt: skip
    return limits(pd.DataFrame(rows, columns=columns))


@pytest.fixture
def curves():
    events = {"same": 12, "adjacent": 90, "remote": 55, "any": 150}
    rows = [
        (outcome, day, 1800 - day, 0.0003 * n * day / 365, n, n)
        for outcome, n in events.items()
        for day in range(10, 760, 10)
    ]
    columns = ["outcome", "time", "n_risk", "estimate", "n_events_total", "n_clusters_total"]
    return limits(pd.DataFrame(rows, columns=columns)).assign(n_patients=1889)


@pytest.fixture
def followed():
    days = (0, 91, 183, 274, 365, 457, 548, 639, 730)
    return pd.DataFrame([("composite", day, 1800 - day) for day in days], columns=["curve", "time", "n_risk"])


@pytest.fixture
def lost():
    days = {"event_free": (450, 304.0), "same": (21, 2.6), "adjacent": (178, 25.1), "remote": (108, 14.6),
            "several": (8, 0.9), "death": (135, 17.8)}  # fmt: skip
    rows = [(name, 365, "time_lost", 1857, n, value, "") for name, (n, value) in days.items()]
    columns = ["outcome", "time", "measure", "n_patients", "n_events", "estimate", "note"]
    return limits(pd.DataFrame(rows, columns=columns))


@pytest.fixture
def recurrent():
    rows = [
        (clock, label, exposure, exposure.title(), "age", 1100, 700, value, NOTE if exposure == "leak" else "")
        for exposure, value in (("cleft", 1.2), ("leak", 1.6))
        for clock, label in (("andersen_gill", "Any (Andersen-Gill)"), ("pwp_gap", "Next (PWP gap)"))
    ]
    columns = [
        "clock",
        "clock_label",
        "exposure",
        "label",
        "adjusted_for",
        "n_patients",
        "n_events",
        "estimate",
        "note",
    ]
    return limits(pd.DataFrame(rows, columns=columns)).assign(n_exposed_events=200.0, p_value=0.0123456)


@pytest.fixture
def within():
    rows = [("crude", 1889, 23841, 1003, 1003, 616, 8.07, ""), ("level", 1889, 23841, 1003, 1003, 616, 4.90, "")]
    columns = ["model", "n_patients", "n_units", "n_events", "n_informative_events", "n_informative_patients",
               "estimate", "note"]  # fmt: skip
    return limits(pd.DataFrame(rows, columns=columns)).assign(p_value=0.0001)


@pytest.fixture
def by_interval():
    rows = []
    for outcome in ("same", "adjacent", "remote"):
        for exposure, label in (("cleft", "Intravertebral cleft before treatment"), ("t_score", "T-score")):
            for start, end, n in ((0, 90, 14), (90, 365, 21), (365, 3189, 68)):
                rows.append((outcome, exposure, label, "hazard_ratio", start, end, n, 1.5, np.nan, ""))
            rows.append((outcome, exposure, label, "equality_over_intervals", np.nan, np.nan, 103, np.nan, 0.64, ""))
    columns = ["outcome", "exposure", "label", "measure", "interval_start", "interval_end", "n_events", "estimate",
               "p_value", "note"]  # fmt: skip
    return limits(pd.DataFrame(rows, columns=columns)).assign(n_patients=1200, n_units=1900, n_exposed_events=40.0)


@pytest.fixture
def proportionality(by_interval):
    return by_interval.drop_duplicates(["outcome", "exposure"])[["outcome", "exposure"]].assign(p_value=0.0312)


@pytest.fixture
def onset():
    rows = [
        ("survival", dates, label, time, np.nan, np.nan, n, value)
        for time, n, value in ((90, 20, 0.993), (365, 61, 0.977))
        for dates, label in (("found", "By the day found"), ("interval", "Between"))
    ] + [
        ("hazard_ratio", dates, label, np.nan, "cleft", "Cleft", 84, 2.19)
        for dates, label in (("found", "By the day found"), ("interval", "Between"))
    ]
    columns = ["measure", "dates", "dates_label", "time", "exposure", "label", "n_events", "estimate"]
    return limits(pd.DataFrame(rows, columns=columns)).assign(n_patients=1259, n_units=1996, note="")


@pytest.fixture
def tables(states, transitions, counts, lost, recurrent, within, by_interval, proportionality, onset):
    return lambda rule: {
        "states": further.states(states, rule),
        "transitions": further.transitions(transitions, rule),
        "mean_counts": further.mean_counts(counts, rule),
        "days_lost": further.days_lost(lost, rule),
        "recurrent": ratios.recurrent(recurrent, {"pwp_gap": "hazard of the next"}, "a death ends it", rule),
        "within_patients": ratios.within(within, {"controlled": "age", "not_controlled": "level"}, rule),
        "by_interval": ratios.by_interval(by_interval, proportionality, rule),
        "onset_intervals": ratios.onset(onset, {"n_late_entry": 299}, rule),
    }


# ---------------- what every table has


def test_every_caption_says_unit_denominator_and_window(tables):
    for key, table in tables(PUBLIC).items():
        assert table.key == key
        assert table.caption.startswith("Unit: "), key
        assert "denominator: " in table.caption, key
        assert re.search(r"window: |over all follow-up|days since|each from its own treatment", table.caption), key


def test_every_row_has_a_cell_for_every_column(tables):
    for key, table in tables(PUBLIC).items():
        assert {len(row.cells) for row in table.rows if row.kind != "group"} == {len(table.columns)}, key


def test_what_is_internal_hides_nothing(tables):
    for key, table in tables(INTERNAL).items():
        assert "<5" not in str(texts(table)), key
        assert PUBLIC.note() not in table.footnotes, key


def test_nothing_gives_no_table():
    nothing = pd.DataFrame()
    assert further.states(nothing, PUBLIC) is None
    assert further.transitions(nothing, PUBLIC) is None
    assert further.mean_counts(nothing, PUBLIC) is None
    assert further.days_lost(nothing, PUBLIC) is None
    assert ratios.recurrent(nothing, {}, "", PUBLIC) is None
    assert ratios.within(nothing, {}, PUBLIC) is None
    assert ratios.by_interval(nothing, nothing, PUBLIC) is None
    assert ratios.onset(nothing, {}, PUBLIC) is None


def test_models_without_any_estimate_give_no_table(recurrent, within, by_interval, proportionality, onset):
    none = {"estimate": np.nan}
    assert ratios.recurrent(recurrent.assign(**none), {}, "", PUBLIC) is None
    assert ratios.within(within.assign(**none), {}, PUBLIC) is None
    assert ratios.by_interval(by_interval.assign(**none), proportionality, PUBLIC) is None
    assert ratios.onset(onset.assign(**none), {}, PUBLIC) is None
    assert ratios.recurrent(recurrent[["exposure", "label"]].assign(note="No."), {}, "", PUBLIC) is None


# ---------------- courses and counts


def test_states_print_moves_shares_and_mean_days(states):
    table = further.states(states, PUBLIC)
    assert texts(table)[:2] == [["No event", "–", "1.0", "10.0"], ["Same-level refracture", "12", "2.0", "20.0"]]
    assert [column.header for column in table.columns] == ["", "Moves", "% (interval)", "Days of 730 (interval)"]


def test_states_that_few_entered_are_hidden_with_the_next_smallest(states):
    """All shares of a day add up to 1: alone, the small one could be worked out."""
    states.loc[states["outcome"] == "same", "n_events"] = 3
    table = further.states(states, PUBLIC)
    assert [line[1:] for line in texts(table)] == [
        ["–", "1.0", "10.0"], ["<5", "–", "–"], ["98", "3.0", "30.0"], ["55", "4.0", "40.0"], ["78", "5.0", "50.0"],
        ["≥5", "–", "–"],
    ]  # fmt: skip
    assert table.data.loc[table.data["outcome"] == "dead", "estimate"].isna().all()


def test_the_share_without_event_is_hidden_where_all_events_are_few(states):
    states.loc[states["outcome"] != "no_event", "n_events"] = 0
    states.loc[states["outcome"] == "same", "n_events"] = 2
    assert texts(further.states(states, PUBLIC))[0] == ["No event", "–", "–", "–"]


def test_the_end_of_follow_up_is_said_once(states):
    states.loc[states["time"] == 90, "note"] = "nobody in 're_augmented' is followed then: who is there stays; " + NOTE
    said = [note for note in further.states(states, PUBLIC).footnotes if note.startswith("At")]
    assert said == ["At 90 days: nobody in 'Treated again' is followed then: who is there stays."]


def test_few_moves_or_few_patients_with_one_hide_a_rate(transitions):
    table = further.transitions(transitions, PUBLIC)
    assert headings(table) == [
        "From treatment on, before any event: 100 patients, 400 years",
        "After a same-level refracture: 47 patients, 80.0 years",
        "After a remote refracture: <5 patients",
    ]
    assert texts(table) == [
        ["Same-level refracture", "47", "11.8"], ["Dead", "<5", "–"], ["Same-level refracture", "≥5", "–"],
        ["Dead", "0", "–"],
    ]  # fmt: skip
    assert table.data["person_years"].isna().tolist() == [False, True, True, True]
    assert not {"coef", "statistic"} & set(table.data), "a hidden rate is in no other column"


def test_counts_are_per_hundred_patients(counts):
    table = further.mean_counts(counts, PUBLIC)
    assert headings(table) == ["By 90 days", "By 1 year"]
    assert texts(table)[1] == ["Adjacent", "100", "98 / 1,889", "5.3", "1,600"]
    assert table.rows[4].kind == "total"


def test_few_patients_with_episodes_hide_them(counts):
    counts.loc[counts["outcome"] == "same", "n_clusters_with_event"] = 4
    table = further.mean_counts(counts, PUBLIC)
    assert texts(table)[0] == ["Same level", "≥5", "<5 / 1,889", "–", "1,600"]
    assert table.data.loc[table.data["outcome"] == "same", "estimate"].isna().all()


def test_a_relation_that_the_total_would_tell_is_hidden_with_another(counts):
    counts.loc[counts["outcome"] == "same", ["n_events", "n_clusters_with_event"]] = 3
    assert [line[1] for line in texts(further.mean_counts(counts, PUBLIC))][:4] == ["<5", "100", "≥5", "170"]


def test_days_lost_add_up_and_name_death(lost):
    table = further.days_lost(lost, PUBLIC)
    assert texts(table)[0] == ["Free of refracture, and alive", "–", "304"]
    assert texts(table)[-1] == ["Death before any refracture", "135", "17.8"]
    assert table.data["n_events"].iloc[0] == "", "it would be the sum of the others"


def test_few_first_events_hide_their_days_and_another(lost):
    lost.loc[lost["outcome"] == "several", "n_events"] = 2
    events = {line[0]: line[1:] for line in texts(further.days_lost(lost, PUBLIC))}
    assert events["More than one relation on one day"] == ["<5", "–"]
    assert events["Same level"] == ["≥5", "–"]
    assert events["Free of refracture, and alive"] == ["–", "304"]


# ---------------- ratios


def test_clocks_stand_side_by_side_and_say_what_they_compare(recurrent):
    table = ratios.recurrent(recurrent, {"pwp_gap": "hazard of the next"}, "a death ends it", PUBLIC)
    assert [column.header for column in table.columns][2:] == ["Andersen-Gill", "PWP gap"]
    assert texts(table) == [["Cleft", "700 / 1,100", "1.20", "1.20"], ["Leak [1]", "700 / 1,100", "1.60", "1.60"]]
    assert table.footnotes == (
        "Next (PWP gap): hazard of the next.",
        "A death ends it.",
        "[1] Events in few patients: the robust standard error tends to be too small.",
    )
    assert table.data["p_value"].tolist() == [0.012] * 4


def test_few_episodes_hide_ratio_and_p(recurrent):
    recurrent.loc[recurrent["exposure"] == "cleft", ["n_events", "note"]] = [4, "4 events for 4 parameters"]
    table = ratios.recurrent(recurrent, {}, "", PUBLIC)
    assert texts(table)[0] == ["Cleft [1]", "<5 / 1,100", "–", "–"]
    hidden = table.data[table.data["exposure"] == "cleft"]
    assert hidden[["estimate", "conf_low", "conf_high", "std_error", "p_value"]].isna().all().all()
    assert hidden["note"].str.startswith("fewer than 5 events").all()


def test_a_clock_without_an_estimate_says_so(recurrent):
    recurrent.loc[recurrent["clock"] == "pwp_gap", "estimate"] = np.nan
    assert texts(ratios.recurrent(recurrent, {}, "", PUBLIC))[0][-1] == "not estimable"


def test_within_patients_says_what_is_controlled_and_what_is_not(within):
    table = ratios.within(within, {"controlled": "age", "not_controlled": "level"}, PUBLIC)
    assert table.footnotes == ("Controlled: age.", "Not controlled: level.")
    assert texts(table)[1] == ["Role, beside the level of the vertebra", "1,003 / 616", "4.90"]
    few = ratios.within(within.assign(n_informative_patients=4), {}, PUBLIC)
    assert texts(few)[0] == ["Role alone", "≥5 / <5", "–"]
    assert few.data["estimate"].isna().all()


def test_intervals_are_named_by_their_days_with_both_tests(by_interval, proportionality):
    table = ratios.by_interval(by_interval, proportionality, PUBLIC)
    assert dict.fromkeys(column.group for column in table.columns[1:]) == dict.fromkeys(
        ["Days 1-90", "Days 91-365", "After day 365", "p for change"]
    )
    assert texts(table)[1] == ["T-score", "14", "1.50", "21", "1.50", "68", "1.50", "0.64", "0.031"]
    assert table.data[["p_intervals", "p_score"]].iloc[0].tolist() == [0.64, 0.031]


def test_intervals_are_parts_of_the_events_of_the_model(by_interval, proportionality):
    first = (by_interval["outcome"] == "same") & (by_interval["exposure"] == "cleft")
    by_interval.loc[first & (by_interval["interval_start"] == 0), "n_events"] = 3
    table = ratios.by_interval(by_interval, proportionality, PUBLIC)
    assert texts(table)[0][1:] == ["<5", "–", "≥5", "–", "68", "1.50", "–", "–"]
    hidden = table.data.iloc[:2]
    assert hidden[["estimate", "p_intervals", "p_score"]].isna().all().all()


def test_onset_stands_both_ways(onset):
    table = ratios.onset(onset, {"n_late_entry": 299}, PUBLIC)
    assert headings(table) == ["Unbroken, %", "Hazard ratio"]
    assert texts(table) == [
        ["At 90 days", "20 / 1,996", "99.3", "99.3"], ["At 1 year", "61 / 1,996", "97.7", "97.7"],
        ["Cleft", "84 / 1,996", "2.19", "2.19"],
    ]  # fmt: skip
    assert "299 vertebrae" in table.footnotes[0]
    few = ratios.onset(onset.assign(n_events=3), {"n_late_entry": 2}, PUBLIC)
    assert {line[2] for line in texts(few)} == {"–"}
    assert "<5 vertebrae" in few.footnotes[0]
    assert texts(ratios.onset(onset[onset["measure"] == "hazard_ratio"].drop(columns="time"), {}, PUBLIC))


# ---------------- figures


def boxes(figure):
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for ax in figure.axes for t in ax.texts if t.get_text()]


@pytest.fixture(params=["counts", "intervals"])
def figure(request, curves, followed, by_interval):
    if request.param == "counts":
        return recurrence.draw(curves, followed, PUBLIC)
    return shape.draw(by_interval, PUBLIC)


def test_no_words_overlap_none_are_cut_and_none_are_small(figure):
    found = boxes(figure)
    for k, (one, a) in enumerate(found):
        for two, b in found[k + 1 :]:
            apart = a.x1 < b.x0 + 1 or b.x1 < a.x0 + 1 or a.y1 < b.y0 + 1 or b.y1 < a.y0 + 1
            assert apart, (one, two)
    width, height = figure.get_size_inches() * figure.dpi
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for _, b in found)
    assert min(t.get_fontsize() for ax in figure.axes for t in ax.texts) >= 8
    assert figure.get_size_inches()[0] == pytest.approx(theme.WIDTH)


def test_each_relation_has_its_curve_named_with_its_count(curves, followed):
    said = [text for text, _ in boxes(recurrence.draw(curves, followed, PUBLIC))]
    assert {"same level 0.72", "adjacent 5.4", "remote 3.3", "still followed", "1,800"} <= set(said)
    assert "any" not in " ".join(said)
    assert recurrence.alt(curves, PUBLIC).startswith("Mean number of refractures per 100 patients: same level")


def test_a_curve_of_few_episodes_or_patients_is_not_drawn(curves, followed):
    curves.loc[curves["outcome"] == "same", "n_clusters_total"] = 4
    said = " ".join(text for text, _ in boxes(recurrence.draw(curves, followed, PUBLIC)))
    assert "adjacent 5.4" in said
    assert "same level" not in said
    assert recurrence.draw(curves.assign(n_events_total=2), followed, PUBLIC) is None
    assert recurrence.draw(curves.assign(estimate=0.0), followed, PUBLIC) is None
    assert recurrence.draw(pd.DataFrame(), followed, PUBLIC) is None
    assert "too few to show" in recurrence.alt(pd.DataFrame(), PUBLIC)


def test_curves_end_where_few_are_followed(curves):
    assert recurrence.cut(curves) == ""
    curves.loc[curves["time"] >= 600, "n_risk"] = 5
    assert "from month 20" in recurrence.cut(curves)


def test_ratios_are_drawn_by_relation_and_interval(by_interval):
    by_interval.loc[0, ["conf_low", "conf_high"]] = [0.01, np.inf]
    figure = shape.draw(by_interval, PUBLIC)
    said = [text for text, _ in boxes(figure)]
    assert {"same level", "adjacent", "remote", "days 1-90", "days 91-365", "after day 365"} <= set(said)
    assert "T-score, same level: days 1-90 1.50" in shape.alt(by_interval, PUBLIC)


def test_hidden_ratios_are_not_drawn(by_interval):
    by_interval.loc[by_interval["outcome"] == "same", "n_events"] = 2
    said = [text for text, _ in boxes(shape.draw(by_interval, PUBLIC))]
    assert "same level" not in said
    assert "same level" not in shape.alt(by_interval, PUBLIC)
    assert shape.draw(by_interval.assign(n_events=2), PUBLIC) is None
    assert shape.draw(pd.DataFrame(), PUBLIC) is None
    assert "too few events" in shape.alt(pd.DataFrame(), PUBLIC)


def test_the_same_frame_gives_the_same_picture(curves, followed, by_interval):
    for draw in (lambda: recurrence.draw(curves, followed, PUBLIC), lambda: shape.draw(by_interval, PUBLIC)):
        assert theme.svg(draw(), "figure", "alt") == theme.svg(draw(), "figure", "alt")


# ---------------- from a registry to the page


@pytest.fixture(scope="module")
def cases():
    return analysis.analyse(toolkit.read("data/cases"))


def section(files):
    page = files["report.html"].decode()
    return page[page.index('<section id="beyond-first"') :].split("</section>")[0]


def built(results, **options):
    return report_files(results, generated_at=datetime(2026, 3, 2, tzinfo=UTC), **options)


def test_a_registry_of_four_cases_has_the_section_after_the_risk_factors(cases):
    files = built(cases)
    page = files["report.html"].decode()
    places = [page.index(f'<section id="{key}"') for key in ("risk", "beyond-first", "sensitivity")]
    assert places == sorted(places)
    assert 'href="#beyond-first"' in page
    for name in ("states", "transitions", "mean_counts", "days_lost", "within_patients"):
        assert f"tables/{name}.csv" in files
        assert f'id="table-{name}"' in section(files)
    assert "tables/recurrent.csv" not in files, "no model could be estimated"


def test_a_study_without_these_results_says_so(cases):
    words = section(built(replace(cases, further=Further())))
    assert "too few patients to follow beyond the first event" in words
    assert "<table" not in words


def test_what_cannot_be_estimated_is_left_out():
    """The frame is empty, and an empty frame is no table: the rest of the report stands."""
    tables = simulate(30, 2)
    nobody = prepare(Registry.of({**tables, "augmentations": tables["augmentations"].iloc[:0]}))
    for estimated in (courses.of_cohort, courses.transitions_of, counts_of, count_curves, time_lost):
        assert where_possible(estimated, nobody).frame.empty


def test_every_method_names_its_source(cases):
    page = built(cases)["report.html"].decode()
    for source in ("Ghosh and Lin 2000", "Andersen and Gill 1982", "Prentice, Williams and Peterson 1981",
                   "Wei, Lin and Weissfeld 1989", "Holt and Prentice 1974", "Turnbull (1976)",
                   "Grambsch and Therneau 1994"):  # fmt: skip
        assert source in page, source


def test_small_counts_are_in_no_csv_of_the_section():
    found = analysis._further(prepare(Registry.of(simulate(300, 5))))
    rule = Disclosure(5)
    shown = [
        further.states(found.states.frame, rule),
        further.transitions(found.transitions.frame, rule),
        further.mean_counts(found.counts.frame, rule),
        further.days_lost(found.lost.frame, rule),
        ratios.recurrent(found.recurrent.frame, found.recurrent.settings["reads"], "", rule),
        ratios.within(found.within.frame, found.within.settings, rule),
        ratios.by_interval(found.by_interval.frame, found.proportionality.frame, rule),
        ratios.onset(found.onset.frame, found.onset.settings, rule),
    ]
    assert all(shown)
    for table in shown:
        counted = [name for name in table.data if name.startswith("n_") and name != "n_units"]
        values = {str(value) for name in counted for value in table.data[name]}
        assert not values & {"1", "2", "3", "4"}, table.key
        few = table.data["n_events"] == "<5"
        assert table.data.loc[few, "estimate"].isna().all(), table.key
