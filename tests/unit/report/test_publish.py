"""A report appears whole or not at all, and never over something that is not a report."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from cohort.domain.errors import OutputError
from cohort.report import publish as module
from cohort.report.publish import publish


def report_of(word):
    def write(folder):
        (folder / "report.html").write_text(word)
        (folder / "manifest.json").write_text(json.dumps({"made_by": "cohort report", "word": word}))

    return write


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_free_or_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new", "deep/er"):
        publish(tmp_path / name, report_of("one"))
        assert (tmp_path / name / "report.html").read_text() == "one"
    assert names(tmp_path) == ["deep", "empty", "new"], "no lock or temporary folder stays behind"


def test_a_report_is_replaced_only_with_force(tmp_path):
    publish(tmp_path / "out", report_of("one"))
    with pytest.raises(OutputError, match=r"not empty.*--force"):
        publish(tmp_path / "out", report_of("two"))
    assert (tmp_path / "out" / "report.html").read_text() == "one"
    publish(tmp_path / "out", report_of("two"), force=True)
    assert (tmp_path / "out" / "report.html").read_text() == "two"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("manifest", [None, "{}", "[]", "no json", '{"made_by": "somebody else"}'])
def test_force_never_replaces_what_is_no_report(tmp_path, manifest):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.txt").write_text("years of work")
    if manifest is not None:
        (out / "manifest.json").write_text(manifest)
    with pytest.raises(OutputError, match=r"no manifest\.json of an earlier report"):
        publish(out, report_of("one"), force=True)
    assert (out / "chapter.txt").read_text() == "years of work"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        publish(tmp_path / "out", report_of("one"), force=True)


@pytest.mark.parametrize("error", [RuntimeError("broke"), OSError(28, "No space left on device")])
def test_when_writing_fails_the_earlier_report_still_stands(tmp_path, error):
    publish(tmp_path / "out", report_of("one"))

    def fail(folder):
        report_of("two")(folder)
        raise error

    with pytest.raises((RuntimeError, OutputError)):
        publish(tmp_path / "out", fail, force=True)
    assert (tmp_path / "out" / "report.html").read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_a_full_disk_is_told_in_a_sentence(tmp_path):
    def fail(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"could not be written.*No space left.*unchanged"):
        publish(tmp_path / "out", fail)


def test_a_reader_never_finds_the_folder_missing_or_half(tmp_path):
    out = tmp_path / "out"
    publish(out, report_of("0"))
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                seen.append("missing")
                continue
            found = sorted(os.listdir(folder))
            os.close(folder)
            # A folder that was swapped out under an open handle may already be emptied; the name never leads to it.
            if found not in (["manifest.json", "report.html"], ["manifest.json"], ["report.html"], []):
                seen.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(30):
        publish(out, report_of(str(k)), force=True)
    stop.set()
    reader.join()
    assert seen == []


def test_without_exchange_two_renames_do_and_a_failure_puts_the_old_one_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_exchange", lambda one, other: False)
    publish(tmp_path / "out", report_of("one"))
    publish(tmp_path / "out", report_of("two"), force=True)
    assert (tmp_path / "out" / "report.html").read_text() == "two"
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OutputError, match="Input/output error"):
        publish(tmp_path / "out", report_of("three"), force=True)
    assert (tmp_path / "out" / "report.html").read_text() == "two"
    assert names(tmp_path) == ["out"]


HOLD = """
import json, sys
from pathlib import Path
from cohort.report.provenance import MADE_BY
from cohort.report.publish import publish

def write(folder):
    (folder / "report.html").write_text("first")
    (folder / "manifest.json").write_text(json.dumps({"made_by": MADE_BY}))
    print("holding", flush=True)
    sys.stdin.readline()

publish(Path(sys.argv[1]), write)
"""


def test_a_second_run_waits_shortly_and_then_says_so(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "holding\n"
        started = time.monotonic()
        with pytest.raises(OutputError, match=r"Another run is writing.*within 0\.2 seconds"):
            publish(tmp_path / "out", report_of("second"), wait_seconds=0.2)
        assert time.monotonic() - started < 5
        other.communicate("\n")
    assert other.returncode == 0
    assert (tmp_path / "out" / "report.html").read_text() == "first"
    with pytest.raises(OutputError, match="not empty"):
        publish(tmp_path / "out", report_of("second"))


def test_runs_at_once_each_publish_whole_reports_in_turn(tmp_path):
    out = tmp_path / "out"
    failures = []

    def run(word):
        try:
            publish(out, report_of(word), force=True, wait_seconds=30)
        except OutputError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(str(k),)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert json.loads((out / "manifest.json").read_text())["word"] == (out / "report.html").read_text()
    assert names(tmp_path) == ["out"]


def test_what_a_killed_run_left_is_cleared_and_nothing_else(tmp_path):
    (tmp_path / ".out.new-4242").mkdir()
    (tmp_path / ".out.new-4242" / "half.html").write_text("x")
    (tmp_path / ".out.new-notes").mkdir()
    publish(tmp_path / "out", report_of("one"))
    assert names(tmp_path) == [".out.new-notes", "out"]


def test_a_link_to_a_folder_is_followed(tmp_path):
    publish(tmp_path / "2026-03", report_of("one"))
    (tmp_path / "latest").symlink_to("2026-03")
    publish(tmp_path / "latest", report_of("two"), force=True)
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "2026-03" / "report.html").read_text() == "two"
