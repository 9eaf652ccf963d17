"""The command line: exits 0 done, 1 failed, 2 wrong usage, 3 done but rows were rejected."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cohort import __version__
from cohort.domain.errors import CohortError, OutputError, UsageError
from cohort.domain.safe_text import visible

if TYPE_CHECKING:
    import pandas as pd

    from cohort.tables.results import Registry

DONE, FAILED, USAGE, REJECTED = 0, 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""
Refracture after vertebral augmentation, from a raw registry to a finished report.

SOURCE is a folder of tables (CSV, Excel, Parquet, SQLite), one workbook or SQLite file, or the URL of a database
(`postgresql://USER@HOST/DATABASE`; the password from PGPASSWORD or `.pgpass`). Three tables are needed: **patients**,
**augmentations** (one row per treated vertebra) and **fractures** (one row per sighting). Settings and column names are
declared in a study file, by default `study.toml` in the source folder.

Start with `cohort map SOURCE --out study.toml` if the columns have other names, then `cohort check SOURCE`: it shows
what was read, what was rejected and why. Then `cohort report SOURCE --out DIR`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but rows were rejected.
""",
)

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Folder of tables, workbook, or database.", show_default=False)
]
Study = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Study file; default SOURCE/study.toml, else the defaults."),
]
OutDir = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.", show_default=False)]
OutFile = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="File to write: Parquet if it ends so, else CSV.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what an earlier run wrote.")]


@app.command()
def report(
    source: Source,
    out: OutDir,
    study: Study = None,
    force: Force = False,
    internal: Annotated[
        bool, typer.Option("--internal", help="Show counts under the disclosure limit: for the registry's own eyes.")
    ] = False,
) -> None:
    """The main job: a raw registry in, a finished report out.

    Writes report.html (one file, no network, printable), every table as CSV, and manifest.json. The folder is
    replaced at once when the report is complete, so that a reader or a scheduled job never sees half of one.
    """
    with progress() as say:
        from cohort.pipeline import analyse, read
        from cohort.report import build_report, refuse_if_taken

        refuse_if_taken(out, force=force)
        registry = read(_existing(source), study, progress=say)
        results = analyse(registry, progress=say)
        say("Drawing and writing the report")
        page = build_report(results, out, internal=internal, force=force)
    _say_rejected(registry)
    typer.echo(f"Report written: {page}")
    raise typer.Exit(_code(registry))


@app.command()
def normalize(
    source: Source,
    out: OutDir,
    study: Study = None,
    force: Force = False,
    format: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="csv or parquet.")] = "csv",
) -> None:
    """Raw tables in, canonical tables out, with an account of every row.

    Writes one file per canonical table, rejected.csv (each rejected row with its reason), warnings.csv and
    accounting.csv.
    """
    _may_write_folder(out, force=force)
    _not_the_source(out, source)
    with progress() as say:
        from cohort.intake import write_canonical
        from cohort.pipeline import read

        registry = read(_existing(source), study, progress=say)
        say("Writing canonical tables")
        write_canonical(registry, out, format)
    _say_accounting(registry)
    raise typer.Exit(_code(registry))


@app.command()
def check(source: Source, study: Study = None) -> None:
    """Read and check a registry, write nothing, and print what a data manager needs on one screen.

    Exits 3 if rows were rejected.
    """
    with progress() as say:
        from cohort.pipeline import prepare, read
        from cohort.report.summary import check as summarize

        registry = read(_existing(source), study, progress=say)
        classified = prepare(registry) if len(registry["patients"]) else None
        text = summarize(registry, classified)
    typer.echo(visible(text))
    raise typer.Exit(_code(registry))


@app.command("map")
def propose_mapping(
    source: Source,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Study file to write.", show_default=False)],
    force: Force = False,
) -> None:
    """Propose a mapping of a source's sheets and columns, as a commented study file for a person to correct.

    Nothing is applied: the file says reviewed = false, and reading refuses it until somebody has set that to true.
    """
    _may_write_file(out, force=force)
    with progress() as say:
        from cohort.intake.proposal import propose
        from cohort.intake.proposal.write import study_text
        from cohort.intake.sources import check_source

        proposal = propose(check_source(source), say)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(study_text(proposal), encoding="utf-8")
    for table in proposal.tables:
        certain = sum(match.certain for match in table.matches)
        parts = [f"{certain} columns certain", f"{len(table.matches) - certain} doubtful"]
        parts += [f"{len(table.carried)} carried"] if table.carried else []
        parts += [f"MISSING {', '.join(table.missing)}"] if table.missing else []
        typer.echo(visible(f"{table.table}: {table.sheet.label}: {', '.join(parts)}"))
    for table_name in proposal.missing:
        typer.echo(f"{table_name}: no sheet looks like it")
    typer.echo(
        f"Proposal written to {out}. Read it, correct it, set reviewed = true, then: cohort check SOURCE --study {out}"
    )


@app.command()
def classify(source: Source, out: OutFile, study: Study = None, force: Force = False) -> None:
    """One row per fracture sighting: same, adjacent or remote, to which augmentation, counted or why not."""
    _may_write_file(out, force=force)
    _not_the_source(out, source)
    with progress() as say:
        from cohort.pipeline import classify as classify_registry
        from cohort.pipeline import printed_sightings, read

        registry = read(_existing(source), study, progress=say)
        say("Placing sightings among treated vertebrae")
        _write_table(printed_sightings(classify_registry(registry)), out)
    _say_rejected(registry)
    raise typer.Exit(_code(registry))


@app.command()
def explain(
    source: Source,
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="The patient.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write a page with a drawing of the spine (HTML).")
    ] = None,
    study: Study = None,
    force: Force = False,
) -> None:
    """One patient's story: dated rows, the treated set, each sighting with the rules it met. For internal use.

    What is shown identifies a patient: it is for the registry's own eyes, and is stamped so.
    """
    if out is not None:
        _may_write_file(out, force=force)
        _not_the_source(out, source)
    with progress() as say:
        from cohort.pipeline import read
        from cohort.report.explain import explain as story_of

        registry = read(_existing(source), study, progress=say)
        story = story_of(registry, patient)
        if out is not None:
            story.write(out)
    typer.echo(visible(story.text))
    if out is not None:
        typer.echo(f"Page written: {out}")
    _say_rejected(registry)
    raise typer.Exit(_code(registry))


@app.command()
def persontime(
    source: Source,
    out: OutFile,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="SPLIT", help="calendar_year, age or since_procedure; may be given again."),
    ] = None,
    study: Study = None,
    force: Force = False,
) -> None:
    """Vertebra-days at risk and refractures by level and role, and by further splits."""
    _may_write_file(out, force=force)
    _not_the_source(out, source)
    with progress() as say:
        from cohort.atrisk import SPLITS
        from cohort.pipeline import person_time, read

        if unknown := [one for one in by or [] if one not in SPLITS]:
            raise UsageError(f"--by {unknown[0]} is not known; write {', '.join(SPLITS)}.")
        registry = read(_existing(source), study, progress=say)
        say("Counting time at risk")
        _write_table(person_time(registry, by or ()), out)
    _say_rejected(registry)
    raise typer.Exit(_code(registry))


@app.command()
def synthesize(
    out: OutDir,
    patients: Annotated[int, typer.Option("--patients", min=1, help="Patients.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed writes the same files.")] = 1,
    study: Annotated[
        Path | None,
        typer.Option("--study", metavar="FILE", help="Checked only: the registry comes with a study of its own."),
    ] = None,
    force: Force = False,
) -> None:
    """A synthetic registry as hospitals export them, with its known truth in truth.json."""
    _may_write_folder(out, force=force)
    if study is not None:
        from cohort.domain.study import load_study

        load_study(study)
    with progress() as say:
        from cohort.synthetic import synthesize as write_synthetic

        say(f"Simulating {patients:,} patients")
        files = write_synthetic(patients, seed, out)
    typer.echo(f"{len(files)} files written to {out}")


@app.command()
def literature(
    out: OutDir,
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", show_default=False)] = None,
    study: Study = None,
    force: Force = False,
) -> None:
    """The published figures with their audit, and the registry's own beside them when SOURCE is given."""
    _may_write_folder(out, force=force)
    registry = None
    with progress() as say:
        from cohort.literature import summary_lines, write_literature
        from cohort.pipeline import read
        from cohort.pipeline.compared import compared

        if source is not None:
            registry = read(_existing(source), study, progress=say)
        found = compared(registry, progress=say)
        write_literature(out, found)
        lines = summary_lines(found)
    for line in lines:
        typer.echo(visible(line))
    typer.echo(f"Published figures written to {out}")
    raise typer.Exit(DONE if registry is None else _code(registry))


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Options of every command."""
    if version:
        typer.echo(f"cohort {__version__}")
        raise typer.Exit


@contextmanager
def progress() -> Iterator[Any]:
    """Progress on standard error: a spinner on a terminal, timed lines elsewhere; nothing before one second."""
    from rich.console import Console

    console = Console(stderr=True)
    start = time.monotonic()
    if console.is_terminal:
        with console.status("Starting") as status:
            yield lambda text: status.update(f"{text} ({time.monotonic() - start:.0f} s)")
        return

    def say(text: str) -> None:
        if time.monotonic() - start > 1:
            console.print(f"{time.monotonic() - start:6.1f} s  {text}", highlight=False)

    yield say


def _existing(source: str) -> str:
    from cohort.intake import addresses

    place = addresses.parse(source)
    if isinstance(place, Path) and not place.exists():
        raise UsageError(
            f"{addresses.shown(source)} does not exist. Name a folder of tables, a workbook or a database."
        )
    return source


def _not_the_source(out: Path, source: str) -> None:
    from cohort.intake import addresses

    place = addresses.parse(source)
    if isinstance(place, Path) and out.resolve() == place.resolve():
        raise UsageError("--out is the source itself, which would be overwritten. Name another place.")


def _may_write_file(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; --out names a file here, such as {path / 'out.csv'}.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already. Choose another name, or overwrite it with --force.")


def _may_write_folder(path: Path, *, force: bool) -> None:
    if path.is_file():
        raise OutputError(f"{path} is a file; --out names a folder here.")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path} is not empty. Choose another folder, or overwrite files in it with --force.")


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    if path.suffix == ".parquet":
        frame.to_parquet(partial, index=False)
    else:
        from cohort.tables.safe_csv import guard, write_unquoted

        frame = guard(frame)
        if not write_unquoted(frame, partial):
            frame.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(path)


def _code(registry: Registry) -> int:
    return REJECTED if int(registry.accounting["rows_rejected"].sum()) else DONE


def _say_rejected(registry: Registry) -> None:
    rejected = int(registry.accounting["rows_rejected"].sum())
    if rejected:
        read = int(registry.accounting["rows_read"].sum())
        typer.echo(
            f"{rejected:,} of {read:,} rows were rejected; "
            "`cohort normalize SOURCE --out DIR` writes each of them with its reason.",
            err=True,
        )


def _say_accounting(registry: Registry) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("table", "rows read", "accepted", "rejected", title="Every row is accounted for")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in registry.accounting.itertuples():
        table.add_row(str(row.table), f"{row.rows_read:,}", f"{row.rows_accepted:,}", f"{row.rows_rejected:,}")
    console = Console()
    console.print(table)
    reasons = registry.rejected.groupby(["table", "reason"], sort=False).size().sort_values(ascending=False)
    for row in reasons.head(8).reset_index(name="n_rows").itertuples():
        console.print(f"  {row.table}: {row.n_rows:,} x {row.reason}", highlight=False, markup=False)


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence, never in a traceback."""
    try:
        app(prog_name="cohort")
    except CohortError as error:
        # A name of a file or column may hold what a terminal would obey.
        typer.echo(f"cohort: {visible(str(error))}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(FAILED)
    except Exception:
        # A fault of ours: its traceback is shown only when asked for, since values in it may identify patients.
        if os.environ.get("COHORT_DEBUG"):
            traceback.print_exc()
        kind, _, trace = sys.exc_info()
        place = traceback.extract_tb(trace)[-1]
        typer.echo(
            f"cohort: an unforeseen fault ({kind.__name__ if kind else 'unknown'} in {Path(place.filename).name}, "
            f"line {place.lineno}). This is a defect of the software, not of your data: please report it. "
            "COHORT_DEBUG=1 shows the details.",
            err=True,
        )
        sys.exit(FAILED)
