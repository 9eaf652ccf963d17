"""Write the pages that are data in the code: data dictionary, study file, checks, measures, validation, audit.

python docs/build.py
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

import spec_pages

from cohort.domain.study import SourceTable, StudyDefinition
from cohort.intake.checks import CHECKS
from cohort.literature import audit, recompute, recompute_effects
from cohort.literature.audit import all_verdicts
from cohort.literature.audit_words import VERDICTS
from cohort.literature.evidence import REVIEW
from cohort.literature.recompute import DIFFERS, EXACT, NOT_PRINTED, WITHIN, is_recomputed
from cohort.literature.tables import figures
from cohort.pipeline.reproduce import reproduce_all
from cohort.pipeline.stages import settings_frame
from cohort.present.tables.reviewed import MEANINGS
from cohort.refracture import FORMULAS
from cohort.tables.schema import CANONICAL, REQUIRED_TABLES, describe


def data_dictionary() -> str:
    """Every table and column, from the schema."""
    columns = describe()
    lines = [
        "# Data dictionary",
        "",
        "Written by `docs/build.py` from `cohort/tables/schema.py`. `*` marks a required column. Columns beyond",
        "these are carried through as covariates.",
    ]
    for table in CANONICAL.values():
        needed = "required" if table.name in REQUIRED_TABLES else "optional"
        lines += [
            "",
            f"## {table.name}",
            "",
            f"{table.grain} ({needed})",
            "",
            "| column | kind | values, unit | what |",
            "|---|---|---|---|",
        ]
        for row in columns[columns["table"] == table.name].itertuples():
            name = f"`{row.column}`" + ("*" if row.required == "yes" else "")
            limits = "" if pd.isna(row.minimum) else f"{row.minimum:g} to {row.maximum:g}"
            values = ", ".join(part for part in (str(row.values).replace("; ", ", "), limits, str(row.unit)) if part)
            lines.append(f"| {name} | {str(row.kind).replace('_', '/')} | {values} | {row.description} |")
    return "\n".join(lines) + "\n"


def study_file() -> str:
    """Every setting, from the study definition."""
    settings = settings_frame(StudyDefinition())
    lines = [
        "# The study file",
        "",
        "Written by `docs/build.py` from `cohort/domain/study.py`. A `study.toml` beside the tables states what",
        "differs from these defaults; an unknown setting is an error. The report prints every setting in force.",
        "",
        "## Where the tables are: `[tables.<name>]`",
        "",
        "| setting | what |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {info.description} |" for name, info in SourceTable.model_fields.items()]
    lines += [
        "",
        "```toml",
        "[tables.augmentations]",
        'file = "export.xlsx"',
        'sheet = "OPs"',
        'rename = { "Pat.-Nr." = "patient_id", "OP-Datum" = "date" }',
        'repeat = { level = "Etage {n}", volume_ml = "Zement {n}" }   # Etage 1, Zement 1, Etage 2 ...',
        'flags = { leak = { "Leck Disc" = "disc", "Leck Vene" = "venous" } }',
        'constant = { technique = "kyphoplasty" }',
        'unit = { anterior_mm_before = "cm" }',
        'date_order = { date = "dmy" }',
        'recode = { indication = { "Metastase" = "tumour" } }',
        'timing = { "Raucher" = "index" }',
        "```",
    ]
    for section, rows in settings.groupby("section", sort=False):
        lines += ["", f"## `[{section}]`", "", "| setting | default | what |", "|---|---|---|"]
        lines += [f"| `{row.setting}` | {row.default or '(none)'} | {row.description} |" for row in rows.itertuples()]
        if section == "population":
            lines += [
                "",
                "Each `[[population.criteria]]` keeps patients by one thing known at entry: age, female, sex, t_score,",
                "corticosteroids, anti_osteoporotic, prior_fractures, site, n_levels, technique, cement, volume_ml, cleft, leak,",
                "height_restoration, or a column of patients whose timing is declared as index. What was known only afterwards is",
                "refused. `at_least`, `at_most` and `one_of` may be combined.",
                "",
                "```toml",
                "[[population.criteria]]",
                'column = "t_score"',
                "at_most = -2.5",
                'missing = "keep"          # or "leave_out", the default',
                'label = "osteoporosis by T-score"',
                "```",
            ]
    return "\n".join(lines) + "\n"


_OUTCOMES = {
    "reject": "The row moves to `rejected.csv`. Where several of these fail, the first in this order gives the reason.",
    "blank": "The row stays, the value is emptied, and `warnings.csv` holds what was written.",
    "warn": "The row and the value stay; `warnings.csv` remarks it.",
}


def checks() -> str:
    """Every check, from its own table, with the smallest registry that fails it, from the specification."""
    text = (Path(__file__).parents[1] / "tests" / "spec" / "checks.toml").read_text(encoding="utf-8")
    cases = {case["check"]: case for case in tomllib.loads(text)["case"]}
    lines = [
        "# The checks",
        "",
        "Written by `docs/build.py` from `cohort/intake/checks.py` and `tests/spec/checks.toml`, whose tables are read by",
        "`tests/spec/test_every_check.py`: each check below fails where the example says, and nowhere is a row lost.",
        "Sentences name the table and the column; what was written stands beside them in `warnings.csv`.",
    ]
    for outcome, meaning in _OUTCOMES.items():
        lines += ["", f"## {outcome.capitalize()}", "", meaning]
        for check in CHECKS.values():
            if check.outcome == outcome:
                lines += ["", f"**`{check.id}`**: {check.sentence}", "", *_example(cases[check.id])]
    return "\n".join(lines) + "\n"


def _example(case: dict[str, Any]) -> list[str]:
    if "proved_by" in case:
        return [f"Example: {case['why']} (`{case['proved_by'].split('::')[1]}`)."]
    place = f", row {case['row']}" if "row" in case else ""
    table = case["csv"].replace("\u001b", "\\x1b")
    return [f"Example: {case['why']} (`{case['table']}`{place}).", "", "```csv", *table.splitlines(), "```"]


def measures() -> str:
    """Every measure of a treated vertebra, from the formulas in the code."""
    lines = [
        "# Measures of treated vertebrae",
        "",
        "Written by `docs/build.py` from `cohort/refracture/formulas.py`. `cohort.measures(registry)` gives one row per treated",
        "vertebra. Heights are millimetres, angles degrees, ratios and losses fractions; what cannot be told is missing, and a",
        "missing finding never becomes no. How a source was read: [src] beyond the abstract, [abs] in an abstract, [sec] in a",
        "secondary text, [unconfirmed] common use. [Readings 64 and 65](readings.md) give the boundaries.",
        "",
        "| column | formula | unit | source |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{one.column}` | {one.formula} | {one.unit} | {one.source} |" for one in FORMULAS]
    return "\n".join(lines) + "\n"


def validation() -> str:
    """What the numbers were held against, and how the simulations ended, from the stored runs."""
    clean, messy = (_stored_run(name) for name in ("coverage.json", "coverage_messy.json"))
    estimates, raw = pd.DataFrame(clean["estimates"]), pd.DataFrame(messy["estimates"])
    within, whole = int(estimates["within"].sum()), len(estimates)
    return f"""# Validation

Written by `docs/build.py`. Where we differ from R or another package on purpose: [differences.md](differences.md).

## Against R

{_against_r()}

## Do the intervals cover?

{_intervals()}

{_risk_factors()}

## How fast

{_speed()}

## Against a second implementation

`tests/reference` is a slow, day-by-day implementation of classification and person-time, written from the rules alone by
somebody who had not seen the fast one. On random registries with 11-13 thoracic and 4-6 lumbar vertebrae and every rule in
play, 6,000 patients under the default settings (20,589 sightings, 8.2 million vertebra-days) and 800 patients under each of
13 settings (38,167 sightings, 13.3 million vertebra-days) gave no difference. `python tests/reference/agree.py` repeats it;
1,307,111 further sightings in one later run, 598,867 of them under 13 settings, gave none either. The newer rules (cascades, relations to every treatment, rows of
procedures and treated vertebrae, exposures, splits, last looks, policies) have a second implementation of their own
(`slow_beyond.py`, `slow_rows.py`), compared under seven settings by the tests and `agree.py --only all`.

A third, in R (`benchmarks/classify.R`, a tuned data.table script written from the rules), gives the same 17 columns of 3,012,790
sightings and the same 720 cells of person-time by level, role and year for a million simulated patients, enriched until every rule
of section 4 has thousands of cases. It judges nothing from films.

Intake has a second implementation too (`slow_intake.py`, row by row, from the rules alone). On messy random tables of 700 seeds
(58,614 rows of patients, augmentations and fractures, 36,824 of them rejected) both reject the same rows and make the same
vertebrae and days of the others; 150 seeds are repeated by the tests.

## Against a known truth

`benchmarks/coverage.py`: {clean["seeds"]} registries of {clean["patients"]:,} clean simulated patients, fixed seeds. The truth is the marginal
value of each estimand from millions of simulated patients, by the generator's own account. {within} of {whole} estimates cover
within the binomial 99.9 % band. Bias is in standard deviations of the estimate; hazard and odds ratios are on the log scale.

{_coverage_table(estimates)}

The same on {messy["seeds"]} messy registries, as hospitals would export them, read through intake: re-listed fractures, films without
pain scores and missing findings move the numbers, and this is by how much.

{_coverage_table(raw)}
"""


def _against_r() -> str:
    rows = json.loads((Path(__file__).parents[1] / "tests" / "gold" / "comparisons.json").read_text(encoding="utf-8"))
    values = sum(row["values"] for row in rows)
    lines = [
        f"{len(rows)} calls on public data sets, {values:,} values, each beside R's (survival 3.5-3, cmprsk 2.2-11, geepack, lme4, brglm2,",
        "riskRegression; `tests/gold/reference.R`). The row shows the value that differs most, relative to R's; `python tests/gold/compare.py`",
        "writes it, and `tests/gold/test_reference.py` fails beyond the tolerance. Where R itself stops early the tolerance is looser, and the",
        "last column says so. Estimators on clustered rows with late entry, tied days and weights have scripts of their own",
        "(`tests/gold/*.R`), held to 1e-9 where the algorithm is the same; [differences.md](differences.md) gives what was measured.",
        "",
        "| data | method | R | quantity | R's value | ours | difference | tolerance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        why = f"; {row['why']}" if row["why"] else ""
        call, ours = (str(row[name]).replace("|", "or") for name in ("r_call", "method"))
        lines.append(
            f"| {row['data'] or 'none'} | `{ours}` | `{call}` | {row['quantity']} | {row['r']:.7g} | {row['ours']:.7g} | "
            f"{row['difference']:.1e} | {row['tolerance']:.0e}{why} |"
        )
    return "\n".join(lines)


def _intervals() -> str:
    stored = _stored_run("intervals.json")
    frame = pd.DataFrame(stored["intervals"])
    names = list(dict.fromkeys(frame["scenario"]))
    lines = [
        f"`benchmarks/intervals.py`: {int(frame['registries'].max()):,} clustered registries per scenario, one to four vertebrae per patient that",
        "resemble each other, death and loss; the truth of every quantity is known. Share of 95 % intervals that hold it, and in brackets that of",
        "the naive interval, which takes vertebrae for patients. `of n` where some registries gave no limits (no event, or none exposed): these",
        "are left out of the share.",
        "",
        "| interval | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for interval, rows in frame.groupby("interval", sort=False):
        cells = []
        for name in names:
            found = rows[rows["scenario"] == name]
            cells.append(_coverage_cell(found.iloc[0]) if len(found) else "")
        lines.append(f"| {interval} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _risk_factors() -> str:
    stored = _stored_run("risk_factors.json")
    lines = [
        "## What an estimate of a risk factor is worth",
        "",
        f"`benchmarks/risk_factors.py`: {min(one['registries'] for one in stored.values()):,} registries of 1,800 patients per scenario, confounded, clustered, death competing, three",
        "clefts of ten missing at random (given T-score and outcome), made by the functions behind `cohort.risk_factors`. Median of the finite estimates;",
        "share of 95 % intervals that hold the truth, of all registries, so that one without limits does not hold it; registries without limits.",
        "`whole`: nothing missing. `recorded`: complete cases unless imputed. Exact ratios are crude, and confounded.",
    ]
    for name, run in stored.items():
        counts = run["mean_counts"]
        lines += [
            "",
            f"**{name}** ({counts['n_events']:.1f} refractures on average, {counts['n_exposed_events']:.1f} with a cleft; {counts['share_missing']:.0%} of clefts missing)",
            "",
            "| data | estimate | measure | truth | median | covers | without limits |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in run["estimates"]:
            digits = 4 if row["measure"] == "risk_difference" else 2
            middle = "none" if row["median"] is None else f"{row['median']:.{digits}f}"
            lines.append(
                f"| {row['data']} | {row['method']} | {row['measure'].replace('_', ' ')} | {row['truth']:.{digits}f} | {middle} | "
                f"{row['covered'] / row['registries']:.1%} | {row['without_limits']} |"
            )
    return "\n".join(lines)


def _coverage_cell(row: pd.Series) -> str:
    if pd.isna(row["coverage"]):
        return "no limits"
    naive = "" if pd.isna(row["naive_coverage"]) else f" ({row['naive_coverage']:.1%})"
    some = "" if row["with_limits"] == row["registries"] else f", of {row['with_limits']:,}"
    return f"{row['coverage']:.1%}{naive}{some}"


def _speed() -> str:
    stored = _stored_run("estimation.json")
    lines = [
        f"`benchmarks/estimation.py`, {stored['processors']} processors, medians of up to {stored['repeats']} interleaved runs, ten covariates, whole days, equal answers",
        "asserted. Seconds are of the fit alone, from a data frame in memory; megabytes are the peak over what reading the rows left.",
        "",
        "| task | rows | who | seconds | to ours | MB | differs by |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in stored["rows"]:
        if "failed" in row:
            lines.append(f"| {row['title']} | {row['rows']:,} | {row['who']} | failed | | | |")
            continue
        lines.append(
            f"| {row['title']} | {row['rows']:,} | {row['who']} | {row['seconds']:.3g} | {row['ratio']:.1f} | {row['megabytes']:.0f} | "
            + ("" if row["who"] == "ours" else f"{row['difference']:.0e}")
            + " |"
        )
    return "\n".join(lines)


def _stored_run(name: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((Path(__file__).parents[1] / "benchmarks" / name).read_text(encoding="utf-8"))
    return stored


def _coverage_table(frame: pd.DataFrame) -> str:
    headline = ~frame["key"].str.contains(r"/crude$|rate/vertebra/(?!all)|composite/several", regex=True)
    lines = ["| estimate | truth | mean | bias, SD | coverage |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.key} | {row.truth:.4g} | {row.mean_:.4g} | {row.bias_in_sd:+.2f} | {row.coverage:.1%} |"
        for row in frame[headline].rename(columns={"mean": "mean_"}).itertuples()
    ]
    return "\n".join(lines)


def definitions() -> str:
    """The rules, written by hand, each chapter of cases under the rules that it shows."""
    text = (Path(__file__).parent / "definitions.md").read_text(encoding="utf-8")
    return re.sub(
        r"(<!-- cases: (.+?) -->\n).*?(<!-- end of cases -->)",
        lambda found: (
            f"{found[1]}\n<details><summary>Cases: {found[2]}</summary>\n\n"
            f"{spec_pages.chapter_table(found[2])}\n\n</details>\n\n{found[3]}"
        ),
        text,
        flags=re.DOTALL,
    )


_RECOMPUTED = {
    DIFFERS: (
        "Not reproduced",
        "The source contradicts itself; the printed number stands in figures.csv and its row says so.",
    ),
    WITHIN: ("Within rounding", "Less than one unit of the last printed digit off: cut off, not rounded."),
    EXACT: ("Reproduced exactly", "To every printed digit."),
    NOT_PRINTED: (
        "Worked out, with nothing to compare",
        "Numerator and denominator were published; no printed per cent was noted when they were read.",
    ),
}


def review_audit() -> str:
    """The review's statements with their verdicts, and every published figure worked out again."""
    table, again = audit(), recompute()
    found = is_recomputed(again)
    return f"""# Audit of the review

Written by `docs/build.py` from `cohort/literature`. The toolkit starts from Jacobson, Palea, Granville, Cureus 2017;9(10):e1776 (CC-BY 3.0),
whose {len(table)} quantitative or causal statements are judged here one by one, beside {int(found.sum())} published figures worked out again from
their numerators and denominators. Verdicts and reasons stand in `data/verdicts.csv`, reasons without a number of their own: every number
comes from the tables through a check in the code, and a verdict that the arithmetic finds but the file does not have stops the build.

**What this does not say.** Few of the review's sources were read beyond their abstract and some only by title: the last column says how
surely the least sure thing a verdict rests on was read. A figure called inconsistent may still be true; it is not supported by what is cited for it.

## Verdicts by kind

A statement has a first verdict and may have others.

{_verdict_counts(table)}

## The statements

{_statements(table)}

## Figures worked out again

95 % intervals are exact (Clopper-Pearson); Wilson's stand in `recomputed.csv`, which `cohort literature --out DIR` writes. {_derived(again)}

{_recomputed_tables(again)}

### Not worked out

{_half_published(again)}

## Published effects

{_effects()}
"""


def _verdict_counts(table: pd.DataFrame) -> str:
    every = all_verdicts(table)
    lines = [
        "| verdict | what it means | first | also | statements (those of which it is the first in bold) |",
        "|---|---|---|---|---|",
    ]
    for verdict in VERDICTS:
        has = every.map(lambda verdicts, verdict=verdict: verdict in verdicts)
        first = table["verdict"] == verdict
        ids = ", ".join(
            f"**{one}**" if bold else one for one, bold in zip(table.loc[has, "id"], first[has], strict=True)
        )
        lines.append(f"| {verdict} | {MEANINGS[verdict]} | {first.sum()} | {(has & ~first).sum()} | {ids} |")
    return "\n".join(lines)


def _statements(table: pd.DataFrame) -> str:
    known = figures()
    citation = known.loc[known["study_key"] == REVIEW, "citation"].iloc[0]
    lines = [
        "| id | where | the review says | verdict | why | rests on | source | read |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        also = f"; {row.also}" if row.also else ""
        source = row.source.replace(citation, "the review")
        cells = (
            row.id,
            row.section,
            row.statement,
            f"**{row.verdict}**{also}",
            row.reason,
            row.rests_on,
            source,
            row.confidence,
        )
        lines.append(_cells(*cells))
    return "\n".join(lines)


def _derived(again: pd.DataFrame) -> str:
    derived = again[(again["derived"] != "") & (again["verdict"] == EXACT)]
    return f"In {len(derived)} of those reproduced exactly one of the two numbers was itself worked out from the printed per cent, so that they agree by construction (marked *)."


def _recomputed_tables(again: pd.DataFrame) -> str:
    parts = []
    for verdict, (title, meaning) in _RECOMPUTED.items():
        rows = again[again["verdict"] == verdict]
        parts += [
            f"### {title} ({len(rows)})",
            "",
            meaning,
            "",
            "| study | quantity | unit | n / N | % | 95 % interval | printed | why | source | read |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows.itertuples():
            name = f"{row.quantity} ({row.statement}, {row.version})" if row.statement else row.quantity
            counts = f"{row.numerator:,.0f} / {row.denominator:,.0f}" + ("*" if row.derived else "")
            limits = f"{row.exact_low:.2f} to {row.exact_high:.2f}"
            why = "" if row.derived else row.why
            parts.append(
                _cells(
                    row.study_key,
                    name,
                    row.unit,
                    counts,
                    f"{row.percent:.2f}",
                    limits,
                    row.printed,
                    why,
                    row.source,
                    row.confidence,
                )
            )
        parts.append("")
    return "\n".join(parts).rstrip()


def _half_published(again: pd.DataFrame) -> str:
    rest = again[~is_recomputed(again)]
    counts = rest["verdict"].value_counts()
    shown = rest[(rest["why"] != "")]
    lines = [
        f"{len(rest)} figures: "
        + ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        + ". Where a per cent and one of the two numbers were published,",
        "the whole numbers that the other may be are a check of their own; they are bounds and stand in no other table.",
        "",
        "| study | quantity | what follows | source | read |",
        "|---|---|---|---|---|",
    ]
    lines += [_cells(row.study_key, row.quantity, row.why, row.source, row.confidence) for row in shown.itertuples()]
    return "\n".join(lines)


def _effects() -> str:
    table = recompute_effects()
    interval, p, counts = (table[name].value_counts() for name in ("interval", "p_value", "against_counts"))
    shown = table[(table["interval"] == "asymmetric") | (table["p_value"] == "differs") | (table["counts"] != "")]
    lines = [
        f"{len(table)} effects. Estimate in the middle of its interval on its own scale: {interval.get('symmetric', 0)}, within rounding {interval.get('within rounding', 0)}, not {interval.get('asymmetric', 0)}, without an interval "
        f"{interval.get('no interval', 0)}. Printed p-values that agree with the interval: {p.get('agrees', 0)}, that differ {p.get('differs', 0)}. Ratios worked out from four published",
        f"counts: {counts.get('agrees', 0)} agree, {counts.get('within rounding', 0)} within rounding, {counts.get('differs', 0)} differ. Shown are those asymmetric and those with counts.",
        "",
        "| study | exposure | outcome | measure | printed | middle | counts | from counts | verdict | source | read |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in shown.itertuples():
        printed = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g})"
        ours = f"{row.from_counts:.3f} ({row.from_counts_low:.3f} to {row.from_counts_high:.3f})" if row.counts else ""
        verdict = "; ".join(word for word in (row.interval, row.against_counts) if word)
        lines.append(
            _cells(
                row.study_key,
                row.exposure,
                row.outcome,
                row.measure,
                printed,
                f"{row.middle:.3f}",
                row.counts,
                ours,
                verdict,
                row.source,
                row.confidence,
            )
        )
    return "\n".join(lines)


def _cells(*texts: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


PAGES = {
    "definitions.md": definitions,
    "mechanisms.md": spec_pages.mechanisms_page,
    "data-dictionary.md": data_dictionary,
    "study-file.md": study_file,
    "checks.md": checks,
    "measures.md": measures,
    "review_audit.md": review_audit,
    "validation.md": validation,
}

REPRODUCED = Path(__file__).parents[1] / "cohort" / "literature" / "data" / "reproduced.csv"


def reproduced(frame: pd.DataFrame) -> str:
    """Every published figure had again, as the file that reports read; ten digits, so that it is the same everywhere."""
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


if __name__ == "__main__":
    REPRODUCED.write_text(reproduced(reproduce_all()), encoding="utf-8", newline="")
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")
