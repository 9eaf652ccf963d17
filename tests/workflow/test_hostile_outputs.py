"""What a registry holds is shown, never run: by a browser, a spreadsheet or a terminal."""

import csv
import re
from html.parser import HTMLParser

import pytest

from cohort import pipeline
from cohort.report import build_report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}{% raw %}",
    "$\\frac{a}{b}$ $",
    "=cmd|' /C calc'!A0",
    "[red]bold[/red]",
    "\x1b]0;title\x07\x1b[31m",
    "\u202egnp.exe",
    "&amp;&lt;",
]
VERTEBRAE = ("T12", "L1", "L2", "L3")


def cell(text):
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Forty patients; every free text, id, site, drug, header, file name and title of the registry is hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "<b>registry [red]"
    folder.mkdir()
    patients = [f"patient_id,sex,age_at_index,follow_up_end,site,{cell('<th onclick=alert(1)>')}"]
    augmentations = ["augmentation_id,patient_id,date,level,operator,cleft_before,leak"]
    fractures = ["fracture_id,patient_id,date,level,modality,kind"]
    medications = ["patient_id,drug,start"]
    for k in range(40):
        text = cell(HOSTILE[k % len(HOSTILE)])
        patient = cell(f"{HOSTILE[k % len(HOSTILE)].replace('=', '-=')}{k}")
        patients.append(f"{patient},female,{60 + k % 20},2022-12-31,{text},{text}")
        level = VERTEBRAE[k % 4]
        leak = ["none", "disc", text][k % 3]
        augmentations.append(f"{cell('<a>' + str(k))},{patient},2020-01-{1 + k % 28:02d},{level},{text},yes,{leak}")
        if k % 2:
            fractures.append(
                f"{cell('<f>' + str(k))},{patient},2020-0{3 + k % 6}-10,{VERTEBRAE[(k + 1) % 4]},{text},new"
            )
        medications.append(f"{patient},{text},2020-01-01")
    augmentations.append(f"{cell('<bad>')},{cell(HOSTILE[0] + '0')},2020-01-01,{cell('<svg onload=alert(1)>')},x,,")
    tables = {"patients": patients, "augmentations": augmentations, "fractures": fractures, "medications": medications}
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "<img src=x onerror=alert(1)>.csv").write_text("unused\n1\n", encoding="utf-8")
    (folder / "study.toml").write_text(
        "[output]\ntitle = '<script>alert(\"title\")</script>'\nregistry = '{{7*7}} <b>registry</b> [red]'\n"
        "question = '\"><script>alert(1)</script>'\n",
        encoding="utf-8",
    )
    return folder


class Page(HTMLParser):
    """Every element with its attributes."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.scripts = []
        self._script = False

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_data(self, data):
        if self._script:
            self.scripts.append(data)
            self._script = False


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    build_report(pipeline.analyse(pipeline.read(source)), out, internal=True)
    return out


def test_nothing_of_the_registry_becomes_an_element_or_an_attribute_of_the_report(made):
    text = (made / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not [attrs for _, attrs in page.elements if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in page.elements if tag in ("img", "iframe", "object", "embed", "b")]
    assert not [script for script in page.scripts if "alert" in script]
    assert not [a for _, a in page.elements if "javascript:" in (a.get("href") or "").lower()]
    # What was written in a template language stands there as written.
    assert "{{7*7}} &lt;b&gt;registry" in text
    assert "49 <" not in text


def test_the_report_shows_no_control_characters(made):
    text = (made / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_no_table_of_the_report_holds_a_formula(made):
    for path in sorted((made / "tables").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for text in row:
                    assert not re.match(r"\s*[=@]|\s*[+-][^0-9.]", text), (path.name, text)


@pytest.mark.parametrize("name", ["normalize", "classify", "persontime", "literature"])
def test_no_file_that_a_command_writes_holds_a_formula_and_no_terminal_is_told_what_to_do(
    name, source, tmp_path, command
):
    out = tmp_path / ("out" if name in ("normalize", "literature") else "out.csv")
    _, said, errors = command(name, source, "--out", out)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", said + errors)
    written = [out] if out.is_file() else [path for path in out.glob("*.csv") if path.name != "figures.csv"]
    assert written
    for path in written:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for text in row:
                    assert not re.match(r"\s*[=@]|\s*[+-][^0-9.]", text), (path.name, text)


def test_a_message_names_a_file_without_obeying_it(tmp_path, command):
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in ("patients", "augmentations", "fractures"):
        (folder / f"{name}.csv").write_text("\x1b[31mpatient\u202e_id\nP1\n", encoding="utf-8")
    (folder / "a\x1b]0;x\x07.csv").write_text("x\n")
    code, said, errors = command("normalize", folder, "--out", tmp_path / "out")
    assert code == 1
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f\u202e]", said + errors)
