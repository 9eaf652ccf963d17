"""`cohort map` proposes what headers and values say; what is doubtful is a question, and nothing certain is wrong."""

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.errors import DefinitionError, RegistryError
from cohort.domain.study import StudyDefinition, load_study
from cohort.intake import read
from cohort.intake.proposal import propose
from cohort.intake.proposal.propose import TableProposal
from cohort.intake.proposal.write import study_text

SYNTHETIC = Path(__file__).parents[3] / "data" / "synthetic"

# Name, file, text, and what each header is; "-" is a covariate, "table.column" says which of several tables.
EXPORTS = {
    "German": {
        "Stammdaten.csv": (
            "Pat.-Nr.;Geschlecht;Geb.-Datum;T-Wert;Cortison;Vorfrakturen;Letzte Kontrolle;Sterbedatum;Raucher",
            ["1;w;03.04.1940;-2,5;nein;1;31.12.2022;;ja", "2;m;25.12.1938;-3,1;ja;0;30.11.2021;30.11.2021;nein"],
            "patient_id sex birth_date t_score corticosteroids prior_fractures follow_up_end death_date -",
            "patients",
        ),
        "Eingriffe.csv": (
            "Pat.-Nr.;OP-Datum;Behandelte Höhe;Verfahren;Zementmenge;Zementaustritt;Spalt;Operateur",
            ["1;13.01.2020;LWK 1;Kyphoplastie;4,5;Bandscheibe;ja;A", "2;14.02.2020;BWK 12;PVP;3,0;nein;nein;B"],
            "patient_id date level technique volume_ml leak cleft_before operator",
            "augmentations",
        ),
        "Frakturen.csv": (
            "Pat.-Nr.;Frakturdatum;Frakturhöhe;schmerzhaft",
            ["1;25.06.2020;LWK 2;ja"],
            "patient_id date level symptomatic",
            "fractures",
        ),
    },
    "French": {
        "patients.csv": (
            "Identifiant,Sexe,Date de naissance,Score T,Corticothérapie,Dernières nouvelles,Date de décès",
            ["A1,F,1940-04-03,-2.5,non,2022-12-31,", "A2,H,1938-12-25,-3.1,oui,2021-11-30,2021-11-30"],
            "patient_id sex birth_date t_score corticosteroids follow_up_end death_date",
            "patients",
        ),
        "interventions.csv": (
            "Identifiant,Date d'intervention,Niveau traité,Type d'intervention,Volume de ciment,Fuite,EVA préop",
            ["A1,2020-01-13,L1,vertébroplastie,4.5,disque,8", "A2,2020-02-14,D12,cyphoplastie,3.0,aucune,7"],
            "patient_id date level technique volume_ml leak pain_before",
            "augmentations",
        ),
        "fractures.csv": (
            "Identifiant,Date de fracture,Vertèbre fracturée,Traumatisme",
            ["A1,2020-06-25,L2,non"],
            "patient_id date level trauma",
            "fractures",
        ),
    },
    "Spanish": {
        "pacientes.csv": (
            "Nº paciente,Sexo,Fecha nacimiento,Densidad ósea,Corticoides,Último seguimiento,Fallecimiento,Hospital",
            [
                "1,mujer,03/04/1940,-2.5,no,31/12/2022,,Clínic",
                "2,hombre,25/12/1938,-3.1,sí,30/11/2021,30/11/2021,Clínic",
            ],
            "patient_id sex birth_date t_score corticosteroids follow_up_end death_date site",
            "patients",
        ),
        "procedimientos.csv": (
            "Nº paciente,Fecha de cirugía,Nivel tratado,Técnica,Volumen de cemento,Fuga de cemento,Cirujano",
            ["1,13/01/2020,L1,cifoplastia,4.5,disco,A", "2,14/02/2020,D12,vertebroplastia,3.0,sin fuga,B"],
            "patient_id date level technique volume_ml leak operator",
            "augmentations",
        ),
        "fracturas.csv": (
            "Nº paciente,Fecha de fractura,Vértebra fracturada,Caída",
            ["1,25/06/2020,L2,no"],
            "patient_id date level trauma",
            "fractures",
        ),
    },
    "Chinese": {
        "患者.csv": (
            "患者编号,性别,年龄,骨密度T值,末次随访日期,死亡日期",
            ["1,女,72,-2.5,2022-12-31,", "2,男,80,-3.1,2021-11-30,2021-11-30"],
            "patient_id sex age_at_index t_score follow_up_end death_date",
            "patients",
        ),
        "手术.csv": (
            "患者编号,手术日期,手术节段,手术方式,骨水泥注入量,骨水泥渗漏,术前VAS评分",
            ["1,2020-01-13,腰1,PKP,4.5,椎间盘,8", "2,2020-02-14,胸12,PVP,3.0,无,7"],
            "patient_id date level technique volume_ml leak pain_before",
            "augmentations",
        ),
        "骨折.csv": (
            "患者编号,骨折日期,骨折椎体,外伤",
            ["1,2020-06-25,腰2,无"],
            "patient_id date level trauma",
            "fractures",
        ),
    },
    "English, with traps": {
        "demographics.csv": (
            "Study ID,Gender,Age,Lowest T-score,Last follow-up,BMI,Weight kg,Date entered,Died on",
            ["S-1,F,72,-2.5,2022-12-31,24,61,2023-01-02,", "S-2,M,80,-3.1,2021-11-30,27,80,2023-01-02,2021-11-30"],
            "patient_id sex age_at_index t_score follow_up_end - - - death_date",
            "patients",
        ),
        "surgeries.csv": (
            "Study ID,Procedure date,Treated vertebra,Procedure,Cement volume,Leak site,Discharge,Height pre,Comment",
            ["S-1,2020-01-13,L1,BKP,4.5,disc,2020-01-15,20,x", "S-2,2020-02-14,T12,PVP,3.0,none,2020-02-15,18,y"],
            "patient_id date level technique volume_ml leak - - -",
            "augmentations",
        ),
        "refractures.csv": (
            "Study ID,Fracture date,Fracture level,Painful,Pain clinic",
            ["S-1,2020-06-25,L2,yes,north"],
            "patient_id date level symptomatic -",
            "fractures",
        ),
    },
}
WIDE = (
    "Pat ID,Sex,Age,Last follow-up,Surgery date,Treated level 1,Treated level 2,Treated level 3,Fracture date 1,"
    "Fracture level 1,Fracture date 2,Fracture level 2,Visit date 1,VAS 1,Visit date 2,VAS 2",
    "1,F,70,2022-12-31,2020-01-01,L1,T12,,2020-06-01,L2,2021-06-01,T8,2020-02-01,3,2020-05-01,2",
    "2,M,80,2022-12-31,2020-01-01,L4,,,,,,,2020-02-01,4,,",
)


def proposed(folder):
    return {one.table: one for one in propose(folder).tables}


def mapping(one: TableProposal):
    """Header = (canonical column, certain?)."""
    return {match.unit.name: (match.column, match.certain) for match in one.matches}


def accept(text):
    """The proposal as somebody corrects it who takes every doubtful line."""
    lines = [line.removeprefix("#? ") for line in text.splitlines() if '"..."' not in line]
    return "\n".join(lines).replace("reviewed = false", "reviewed = true")


def write(folder, files):
    for name, (header, rows, *_) in files.items():
        (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("language", EXPORTS)
def test_the_columns_of_a_hospitals_export_are_found_and_none_certain_is_wrong(language, tmp_path):
    files = EXPORTS[language]
    found = proposed(write(tmp_path, files))
    right = wanted = 0
    for name, (header, _, expected, table) in files.items():
        assert found[table].sheet.file == name
        delimiter = ";" if ";" in header else ","
        said = mapping(found[table])
        for title, column in zip(header.split(delimiter), expected.split(), strict=True):
            proposal, certain = said.get(title, ("-", False))
            assert proposal == column or not certain, f"{title} is certainly wrong: {proposal}"
            wanted += column != "-"
            right += proposal == column != "-"
        carried = [t for t, c in zip(header.split(delimiter), expected.split(), strict=True) if c == "-"]
        assert set(found[table].carried) <= set(carried)
    assert right == wanted


@pytest.mark.parametrize("language", EXPORTS)
def test_a_proposal_that_a_person_has_accepted_reads_every_row(language, tmp_path):
    write(tmp_path, EXPORTS[language])
    (tmp_path / "study.toml").write_text(accept(study_text(propose(tmp_path))), encoding="utf-8")
    found = read(tmp_path)
    assert len(found.rejected) == 0
    assert found.accounting["rows_accepted"].tolist()[:3] == [2, 2, 1]
    blanks = found.warnings[found.warnings["outcome"] == "blank"]
    assert len(blanks) == 0


def test_one_wide_sheet_is_proposed_for_every_table_that_it_holds(tmp_path):
    (tmp_path / "export.csv").write_text("\n".join(WIDE) + "\n", encoding="utf-8")
    found = proposed(tmp_path)
    assert set(found) == {"patients", "augmentations", "fractures", "assessments"}
    assert mapping(found["augmentations"])["Treated level {n}"][0] == "level"
    assert {match.column for match in found["fractures"].matches if match.unit.repeats} == {"date", "level"}
    (tmp_path / "study.toml").write_text(accept(study_text(propose(tmp_path))), encoding="utf-8")
    registry = read(tmp_path)
    assert registry["augmentations"]["level"].tolist() == ["L1", "T12", "L4"]
    assert registry["fractures"]["level"].tolist() == ["L2", "T8"]
    assert registry["assessments"]["pain"].tolist() == [3.0, 2.0, 4.0]
    assert len(registry.rejected) == 0


def test_the_mapping_of_the_synthetic_registry_is_found_without_its_study_file():
    found = proposed(SYNTHETIC)
    study = load_study(SYNTHETIC / "study.toml")
    counts = {"certain and right": 0, "doubtful and right": 0, "wrong": 0, "missing": 0}
    for table, spec in study.tables.items():
        said = mapping(found[table])
        assert (found[table].sheet.file, found[table].sheet.sheet or None) == (spec.file, spec.sheet)
        for header, column in spec.rename.items():
            proposal, certain = said.get(header, ("", False))
            if not proposal:
                counts["missing"] += 1
            elif proposal != column:
                counts["wrong"] += 1
                assert not certain
            else:
                counts["certain and right" if certain else "doubtful and right"] += 1
    total = sum(counts.values())
    assert counts["wrong"] == 0
    assert counts["certain and right"] >= 0.9 * total
    assert counts["missing"] <= 0.03 * total


def test_a_proposal_is_refused_until_a_person_has_read_it(tmp_path):
    write(tmp_path, EXPORTS["German"])
    (tmp_path / "study.toml").write_text(study_text(propose(tmp_path)), encoding="utf-8")
    with pytest.raises(DefinitionError, match="nobody has reviewed"):
        read(tmp_path)


def test_units_orders_and_codes_are_asked_about(tmp_path):
    write(tmp_path, EXPORTS["German"])
    (tmp_path / "Eingriffe.csv").write_text(
        "Pat.-Nr.;OP-Datum;Behandelte Höhe;Verfahren;Vorderkante präop;VAS präop;Menge ml\n"
        + "\n".join(
            f"{k};0{k}.0{k + 1}.2020;L{k};{'kyphoplasti' if k < 3 else 'xx'};2,{k};{20 * k};1,234" for k in range(1, 5)
        ),
        encoding="utf-8",
    )
    text = study_text(propose(tmp_path))
    assert '#? anterior_mm_before = "cm"' in text
    assert '#? pain_before = "points_100"' in text
    assert '#? "kyphoplasti" = "kyphoplasty"  # cannot be read as it is; likely this' in text
    assert '#? "xx" = "..."' in text
    assert '#? date = "dmy"  # 4 rows can be read with the day or the month first: which?' in text
    assert '#? decimal = ","' in text


def test_no_value_that_may_name_a_patient_is_repeated(tmp_path):
    header = "patient_id,sex,birth_date,follow_up_end,remark,symptomatic,site"
    rows = [f"SECRET{k},SECRETSEX{k},1940-01-0{k},2022-12-31,SECRETNOTE,SECRETONE{k},SECRETSITE" for k in range(1, 9)]
    (tmp_path / "patients.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    text = study_text(propose(tmp_path))
    assert "SECRET" not in text
    assert "1940" not in text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8), st.text(max_size=10))
def test_the_file_is_always_toml_and_loads_but_for_the_lock(tmp_path_factory, headers, cell):
    import csv

    folder = tmp_path_factory.mktemp("x")
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["patient_id", *headers], ["1", *[cell] * len(headers)]])
    text = ""
    with suppress(RegistryError):  # too many control characters to be a text
        text = study_text(propose(folder))
    for version in (text, accept(text)):
        StudyDefinition.model_validate(tomllib.loads(version))


def test_five_thousand_columns_are_compared_in_reasonable_time(tmp_path):
    header = ["patient_id", "follow_up_end", *(f"some measurement {k} of it" for k in range(4_900))]
    (tmp_path / "patients.csv").write_text(",".join(header) + "\n1,2022-12-31" + ",7" * 4_900 + "\n", encoding="utf-8")
    found = proposed(tmp_path)
    assert {match.column for match in found["patients"].matches} >= {"patient_id", "follow_up_end"}
