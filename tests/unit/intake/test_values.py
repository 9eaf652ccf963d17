"""Findings, words, numbers, leaks and drugs as written."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.domain.spine import CODE
from cohort.intake import findings, leaks, numbers
from cohort.tables.drugs import drug_of
from cohort.tables.schema import AUGMENTATIONS, FRACTURES, PATIENTS


def rows(text):
    return [tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines()]


STATES = """
    yes            | yes
    Y              | yes
    1              | yes
    TRUE           | yes
    ja             | yes
    oui            | yes
    +              | yes
    no             | no
    N              | no
    0              | no
    false          | no
    nein           | no
    non            | no
    -              | no
    not assessable | not_assessable
    Not_Assessable | not_assessable
    indeterminate  | not_assessable
    not evaluable  | not_assessable
    unk            | missing
    unknown        | missing
    ?              | missing
    NA             | missing
    n/a            | missing
    Ja             | yes
    Sí             | yes
    présent        | yes
    positiv        | yes
    是             | yes
    有             | yes
    阳性           | yes
    NEIN           | no
    négatif        | no
    absente        | no
    否             | no
    无             | no
    阴性           | no
    nicht beurteilbar | not_assessable
    non évaluable  | not_assessable
    no valorable   | not_assessable
    无法评估       | not_assessable
    k.A.           | missing
    non renseigné  | missing
    desconocido    | missing
    不详           | missing
    #N/A           | unreadable
    X              | unreadable
    -9             | unreadable
    maybe          | unreadable
"""


@pytest.mark.parametrize(("written", "state"), rows(STATES))
def test_a_finding_has_four_states_and_none_becomes_another(written, state):
    code = findings.read_state(written, FRACTURES["trauma"])
    assert ("no", "not_assessable", "yes", "unreadable", "missing")[code] == state


def test_an_empty_finding_is_missing_and_never_no():
    assert findings.read_state("", FRACTURES["trauma"]) == findings.MISSING_WORD


def test_not_assessable_is_no_answer_to_a_yes_or_no():
    assert findings.read_state("not assessable", PATIENTS["corticosteroids"]) == findings.UNREADABLE


WORDS = """
    technique    | Balloon Kyphoplasty | kyphoplasty
    technique    | PVP                 | vertebroplasty
    cement       | Cortoss             | bioactive
    cement       | PMMA                | pmma
    indication   | metastasis          | tumour
    approach     | Bilateral           | bipedicular
    cleft_filled | none                | none
"""


@pytest.mark.parametrize(("column", "written", "expected"), rows(WORDS))
def test_words_are_read_by_the_vocabulary_and_its_synonyms(column, written, expected):
    spec = AUGMENTATIONS[column]
    assert spec.vocabulary[findings.read_word(written, spec)] == expected


NUMBERS = """
    3        |   |    | 3      | whole
    3.5      |   |    | 3.5    | decimal point
    3,5      |   |    | 3.5    | a decimal comma that can be nothing else
    -2,5     |   |    | -2.5   | negative
    −2.5     |   |    | -2.5   | a typographic minus
    0,125    |   |    | 0.125  | no thousand begins with nought
    1.234    |   |    | 1.234  | a point is a decimal point
    1,234    |   |    | number_ambiguous | 1.234 or a thousand
    1,234    | , |    | 1.234  | declared
    1,234    | . |    | 1234   | declared
    1.234    | , |    | 1234   | declared: points group
    1.234,5  |   |    | 1234.5 | the last mark is the decimal one
    1,234.5  |   |    | 1234.5 | the last mark is the decimal one
    3 ml     |   | ml | 3      | the column's own unit says nothing new
    3cc      |   | ml | 3      | the same unit by another name
    12°      |   | degrees | 12 | the column's own unit
    2.5 cm   |   | mm | number_unreadable | another unit is never converted
    3 ml     |   | mm | number_unreadable | another unit
    about 3  |   |    | number_unreadable | words
    3-4      |   |    | number_unreadable | a range
    7/10     |   |    | number_unreadable | a fraction
    <3       |   |    | number_unreadable | a limit
    inf      |   |    | number_unreadable | no measure
    1 234,5  |   |    | 1234.5 | a space groups thousands
    1 234 |   |    | 1234   | a narrow space too
    +3       |   |    | 3      | a sign
    ,5       |   |    | 0.5    | nothing before the comma
    0.023 m  |   | m  | 0.023  | the unit that the study file declares
    ca. 3    |   |    | number_unreadable | about
    3½       |   |    | number_unreadable | a fraction
    3²       |   |    | number_unreadable | a footnote, or a square
    1'234.5  |   |    | 1234.5 | an apostrophe groups thousands
    0.5 123  |   |    | number_unreadable | two numbers
    12 34    |   |    | number_unreadable | two numbers
    ３．５   |   |    | 3.5    | full width
    78 Jahre |   | years | 78 | German
    78 años  |   | years | 78 | Spanish
    78岁     |   | years | 78 | Chinese
    2,3 cm   |   | cm | 2.3    | the unit that was declared
    ca. 3    |   |    | number_unreadable | about
    ~3       |   |    | number_unreadable | about
    #DIV/0!  |   |    | number_unreadable | an error of the spreadsheet
    n/a      |   |    | missing | not recorded
    keine    |   |    | missing | none
"""


@pytest.mark.parametrize(("written", "decimal", "unit", "expected", "why"), rows(NUMBERS))
def test_a_number_is_read_where_it_can_be_nothing_else(written, decimal, unit, expected, why):
    value, fault = numbers.read(written, decimal or None, unit)
    assert (fault or ("missing" if math.isnan(value) else f"{value:g}")) == expected


LEAKS = """
    L3 | none                     | none
    L3 | no leak                  | none
    L3 | disc                     | disc
    L3 | Bandscheibe              | disc
    L3 | disque supérieur         | disc_superior
    L3 | 上椎间盘                 | disc_superior
    L3 | 椎间盘、静脉             | disc;venous
    L3 | 椎管内                   | epidural
    L3 | 椎旁                     | paravertebral
    L3 | keine Leckage            | none
    L3 | sin fuga                 | none
    L3 | 无                       | none
    L3 | venös und epidural       | epidural;venous
    L3 | vena y disco             | disc;venous
    L3 | canal espinal            | epidural
    L3 | intradiscal              | disc
    L3 | superior disc; venous    | disc_superior;venous
    L3 | venous, disc_superior    | disc_superior;venous
    L3 | spinal canal             | epidural
    L3 | L3-4                     | disc_inferior
    L4 | L3-4                     | disc_superior
    L4 | L3/4                     | disc_superior
    L4 | disc L3-L4 + venous      | disc_superior;venous
    T12 | T12/L1                  | disc_inferior
    L5 | L5-S1                    | disc_inferior
    L1 | L3-4                     | leak_elsewhere
    L3 | L3-L5                    | leak_elsewhere
    L3 | none; venous             | leak_contradicts
    L3 | everywhere               | word_unknown
    L3 | no leak into disc        | word_unknown
    L3 | leakage                  | word_unknown
    L3 | cement leakage into disc | disc
    L3 | Zementaustritt in die Bandscheibe | disc
    L3 | fuite discale            | disc
    L3 | pas de fuite             | none
    L3 | 静脉渗漏                 | venous
    L3 | L3/4 Bandscheibe         | disc_inferior
    L4 | 腰3/4椎间盘              | disc_superior
    L3 | n/a                      |
"""


@pytest.mark.parametrize(("level", "written", "expected"), rows(LEAKS))
def test_a_disc_named_by_its_vertebrae_is_seen_from_the_rows_own_level(level, written, expected):
    leak = leaks.read(written)
    text, fault = leaks.at_level(leak, CODE[level], 12, 5)
    assert (leak.fault or fault or text) == expected


def test_with_a_thirteenth_thoracic_vertebra_no_disc_joins_t12_and_l1():
    assert leaks.at_level(leaks.read("T12/L1"), CODE["T12"], 13, 5) == ("", "leak_elsewhere")


DRUGS = """
    alendronate             | antiresorptive
    Fosamax 70 mg weekly    | antiresorptive
    M05BA08                 | antiresorptive
    m05bx53                 | antiresorptive
    Teriparatide            | anabolic
    H02AB07                 | corticosteroid
    calcium + vitamin D     | supplement
    calcium and alendronate | antiresorptive
    Acide zolédronique 5 mg | antiresorptive
    Zoledronsäure i.v.      | antiresorptive
    唑来膦酸                | antiresorptive
    地舒单抗 60mg           | antiresorptive
    鲑降钙素                | antiresorptive
    特立帕肽注射液          | anabolic
    methylprednisolone 4 mg | corticosteroid
    氢化可的松              | corticosteroid
    hydrocortisone cream 1% | other
    D07AA02                 | other
    R03BA02                 | other
    M05BB03                 | antiresorptive
    碳酸钙d3片              | supplement
    碳酸钙片                | supplement
    Vitamine D3             | supplement
    M05BB06                 | antiresorptive
    M05BC01                 | other
    M05BX                   |
    Tevabone                | antiresorptive
    Stoboclo 60 mg          | antiresorptive
    密固达 5mg              | antiresorptive
    budesonide              | other
    triamcinolone intra-articular | other
    calcium 1000 mg daily   | supplement
    calcium citrate         | supplement
    risedronate calcium     | antiresorptive
    atorvastatin calcium    |
    calcium channel blocker |
    阿托伐他汀钙片          |
    no alendronate          |
    denosumab stopped       |
    ohne Denosumab          |
    prednisone, Prolia      |
    aspirin                 |
"""


@pytest.mark.parametrize(("written", "expected"), rows(DRUGS))
def test_the_class_comes_from_the_name_or_the_atc_code(written, expected):
    assert drug_of(written).drug_class == expected


@settings(max_examples=200, derandomize=True, database=None)
@given(st.text(max_size=12), st.sampled_from([None, ".", ","]))
def test_no_text_crashes_a_reader(text, decimal):
    value, _ = numbers.read(text, decimal, "ml")
    assert not math.isinf(value)
    leak = leaks.read(text)
    assert isinstance(leaks.at_level(leak, CODE["L3"], 12, 5), tuple)
    assert isinstance(drug_of(text).drug_class, str)
    assert -2 <= findings.read_word(text, AUGMENTATIONS["technique"]) < 3


@settings(max_examples=100, derandomize=True, database=None)
@given(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6))
def test_a_number_written_by_python_is_read_back_exactly(value):
    assert numbers.read(repr(value))[0] == value
