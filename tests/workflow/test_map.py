"""`cohort map` as a stranger uses it: a file to correct, refused until somebody has."""

PATIENTS = "PatNr;Geschlecht;Alter;Letzte Kontrolle\n1;w;71;31.12.2022\n2;m;80;30.11.2022\n"
OPS = "PatNr;OP-Datum;Behandelte Höhe;Verfahren\n1;13.01.2020;LWK 1;PKP\n2;25.02.2020;BWK 12;PVP\n"
FRACTURES = "PatNr;Frakturdatum;Frakturhöhe\n1;25.06.2020;LWK 2\n"


def source(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, text in (("Stammdaten.csv", PATIENTS), ("OPs.csv", OPS), ("Frakturen.csv", FRACTURES)):
        (folder / name).write_text(text, encoding="cp1252")
    return folder


def test_a_proposal_is_written_corrected_and_used(tmp_path, command):
    folder, study = source(tmp_path), tmp_path / "study.toml"
    code, said, _ = command("map", folder, "--out", study)
    assert code == 0
    assert "augmentations: OPs.csv: 4 columns certain, 0 doubtful" in said
    code, _, errors = command("normalize", folder, "--study", study, "--out", tmp_path / "out")
    assert code == 1
    assert "nobody has reviewed" in errors
    study.write_text(study.read_text(encoding="utf-8").replace("reviewed = false", "reviewed = true"), encoding="utf-8")
    code, said, _ = command("normalize", folder, "--study", study, "--out", tmp_path / "out")
    assert code == 0
    assert (tmp_path / "out" / "augmentations.csv").read_text().count("\n") == 3


def test_a_proposal_never_replaces_a_file_unasked(tmp_path, command):
    folder, study = source(tmp_path), tmp_path / "study.toml"
    study.write_text("[output]\n")
    code, _, errors = command("map", folder, "--out", study)
    assert code == 2
    assert "--force" in errors
    assert study.read_text() == "[output]\n"


def test_nothing_to_map_is_a_sentence(tmp_path, command):
    (tmp_path / "empty").mkdir()
    code, _, errors = command("map", tmp_path / "empty", "--out", tmp_path / "study.toml")
    assert code == 1
    assert "Nothing in the source can be read as a table" in errors


def test_what_is_missing_and_what_is_of_no_use_is_said(tmp_path, command):
    folder = source(tmp_path)
    (folder / "Frakturen.csv").unlink()
    (folder / "Kantine.csv").write_text("Tag;Essen\n1;Suppe\n")
    code, said, _ = command("map", folder, "--out", tmp_path / "study.toml")
    assert code == 0
    assert "fractures: no sheet looks like it" in said
    text = (tmp_path / "study.toml").read_text(encoding="utf-8")
    assert "# MISSING: no sheet looks like the table fractures" in text
    assert "# Not used: Kantine.csv looks like no table." in text
