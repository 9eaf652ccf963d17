"""The canonical tables: what each column means, its unit, its vocabulary and its limits.

The specifications are data. `contract` turns one into a pandera schema, `empty` into an empty frame, and
`describe` into the data dictionary that the documentation prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from cohort.domain import outcomes
from cohort.domain.spine import LEVEL_DTYPE

Kind = Literal["id", "text", "date", "level", "vocabulary", "yes_no", "finding", "set", "number", "integer"]


@dataclass(frozen=True)
class Column:
    """One column: `kind` decides the dtype, `required` that the column must exist and each row have a value."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    vocabulary: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    synonyms: tuple[tuple[str, str], ...] = ()

    @property
    def dtype(self) -> str | pd.CategoricalDtype:
        """The pandas dtype of the canonical column."""
        match self.kind:
            case "date":
                return "datetime64[ns]"
            case "level":
                return LEVEL_DTYPE
            case "yes_no":
                return pd.CategoricalDtype(list(outcomes.YES_NO), ordered=True)
            case "finding":
                return pd.CategoricalDtype(list(outcomes.FINDING), ordered=True)
            case "vocabulary":
                return pd.CategoricalDtype(list(self.vocabulary), ordered=True)
            case "number" | "integer":
                return "float64"
            case _:
                return "object"


@dataclass(frozen=True)
class Table:
    """One table: its grain in a sentence, its columns, and the columns that order it."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: str | None = None

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in their printed order."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns a source must have."""
        return tuple(column.name for column in self.columns if column.required)


def _also(**words: str) -> tuple[tuple[str, str], ...]:
    """Synonyms of a vocabulary: each word with what else is written for it, `|` between."""
    return tuple((synonym, word) for word, synonyms in words.items() for synonym in synonyms.split("|"))


def _mm(name: str, what: str) -> Column:
    return Column(name, "number", what, minimum=0, maximum=60, unit="mm")


_PATIENT = Column("patient_id", "id", "The registry's own pseudonym of the patient.", required=True)
_PRECISION = Column(
    "date_precision", "vocabulary", "How exactly the date is known.", vocabulary=outcomes.DATE_PRECISIONS
)

PATIENTS: Final = Table(
    "patients",
    "One row per patient.",
    (
        _PATIENT,
        Column("sex", "vocabulary", "Sex.", vocabulary=("female", "male", "other"),
               synonyms=_also(female="f|w|woman|weiblich|frau|féminin|femme|femenino|mujer|女|女性",
                               male="m|h|man|männlich|mann|masculin|homme|masculino|hombre|varón|男|男性",
                               other="divers|d|autre|otro|其他")),
        Column("birth_date", "date", "Date of birth."),
        Column("age_at_index", "number", "Age at the first augmentation.", minimum=0, maximum=120, unit="years"),
        Column("t_score", "number", "Lowest T-score of bone density.", minimum=-8, maximum=6, unit="SD"),
        Column("corticosteroids", "yes_no", "Chronic systemic corticosteroids at the first augmentation."),
        Column("prior_fractures", "integer", "Vertebral fractures before the first augmentation.", minimum=0, maximum=24),
        Column("n_thoracic", "integer", "Thoracic vertebrae.", minimum=11, maximum=13),
        Column("n_lumbar", "integer", "Lumbar vertebrae.", minimum=4, maximum=6),
        Column("site", "text", "Hospital or department."),
        Column("enrolled_on", "date", "Start of observation, if later than the first augmentation (delayed entry)."),
        Column("follow_up_end", "date", "Last day on which a fracture would have come to the registry's notice.", required=True),
        Column("death_date", "date", "Date of death."),
        Column("vital_status_end", "date", "Last day known alive, when linked."),
        Column("incomplete", "yes_no", "An augmentation or fracture row of the patient was rejected (set by normalize)."),
    ),
    key="patient_id",
)  # fmt: skip

AUGMENTATIONS: Final = Table(
    "augmentations",
    "One row per treated vertebra.",
    (
        Column("augmentation_id", "id", "Identifier of the treated vertebra; made where absent."),
        _PATIENT,
        Column("date", "date", "Day of the procedure; empty with precision before_index.", required=True),
        _PRECISION,
        Column("level", "level", "Treated vertebra.", required=True),
        Column("technique", "vocabulary", "Technique.", vocabulary=("vertebroplasty", "kyphoplasty", "other"),
               synonyms=_also(
                   vertebroplasty="pvp|vp|percutaneous vertebroplasty|vertebroplastie|vertebroplastia|椎体成形术|椎體成形術|经皮椎体成形术",
                   kyphoplasty="pkp|bkp|kp|balloon kyphoplasty|percutaneous kyphoplasty|kyphoplastie|ballonkyphoplastie|cyphoplastie|cifoplastia|"
                               "椎体后凸成形术|椎體後凸成形術|经皮椎体后凸成形术|球囊后凸成形术",
                   other="andere|autre|otra|otro|其他")),
        Column("approach", "vocabulary", "Access.", vocabulary=("unipedicular", "bipedicular", "extrapedicular"),
               synonyms=_also(unipedicular="unilateral|unipedikulär|unipédiculaire|单侧|單側",
                              bipedicular="bilateral|bipedikulär|bipédiculaire|双侧|雙側",
                              extrapedicular="extrapedikulär|extrapédiculaire")),
        Column("cement", "vocabulary", "Cement.", vocabulary=("pmma", "bioactive", "other"), synonyms=_also(pmma="polymethylmethacrylate|polymethyl methacrylate", bioactive="cortoss", other="andere|autre|otro|其他")),
        Column("volume_ml", "number", "Injected cement.", minimum=0, maximum=30, unit="ml"),
        Column("indication", "vocabulary", "Why the vertebra was treated.", vocabulary=outcomes.INDICATIONS,
               synonyms=_also(fracture="ovcf|vcf|fx|fraktur|fractura|骨折", prophylactic="prophylaxis|prophylaktisch|prophylactique|profiláctica|profiláctico|预防性|預防性",
                              tumour="tumor|metastasis|myeloma|metastase|myelom|tumeur|métastase|metástasis|mieloma|肿瘤|腫瘤|转移瘤|骨髓瘤")),
        Column("operator", "text", "Operator."),
        Column("cleft_before", "finding", "Intravertebral cleft, fluid or vacuum, on pre-operative imaging."),
        Column("cleft_modality", "vocabulary", "How the cleft was looked for.", vocabulary=("radiograph", "ct", "mri", "fluoroscopy"),
               synonyms=_also(radiograph="x-ray|xray|x ray|röntgen|radiographie|radiografía|radiografia|rx|x线|x光",
                              ct="computed tomography|tdm|scanner|tc|tac", mri="mr|mrt|irm|rm|rmn|磁共振|核磁|核磁共振",
                              fluoroscopy="durchleuchtung|fluoroscopie|fluoroscopia|透视")),
        Column("cleft_filled", "vocabulary", "How far cement filled the cleft.", vocabulary=("complete", "partial", "none"),
               synonyms=_also(complete="komplett|vollständig|complet|complète|completo|completa|完全", partial="partiell|teilweise|partiel|partielle|parcial|部分",
                              none="no|nicht|non|no relleno|未填充")),
        Column("leak", "set", "Where cement leaked.", vocabulary=outcomes.LEAKS),
        Column("leak_modality", "vocabulary", "How leakage was looked for.", vocabulary=("fluoroscopy", "radiograph", "ct"),
               synonyms=_also(radiograph="x-ray|xray|x ray|röntgen|radiographie|radiografía|radiografia|rx|x线|x光",
                              ct="computed tomography|tdm|scanner|tc|tac", fluoroscopy="durchleuchtung|fluoroscopie|fluoroscopia|透视")),
        Column("fracture_endplate", "vocabulary", "Fractured endplate.", vocabulary=("superior", "inferior", "both", "none"),
               synonyms=_also(superior="upper|cranial|obere|deckplatte|supérieur|craneal|上|上终板", inferior="lower|caudal|untere|grundplatte|inférieur|下|下终板",
                              both="beide|les deux|ambos|ambas|双侧|上下", none="no|keine|aucun|aucune|ninguno|无")),
        Column("cement_endplate", "vocabulary", "Endplate reached by cement.", vocabulary=("superior", "inferior", "both", "none"),
               synonyms=_also(superior="upper|cranial|obere|deckplatte|supérieur|craneal|上|上终板", inferior="lower|caudal|untere|grundplatte|inférieur|下|下终板",
                              both="beide|les deux|ambos|ambas|双侧|上下", none="no|keine|aucun|aucune|ninguno|无")),
        Column("cement_pattern", "vocabulary", "Pattern of the cement.", vocabulary=("solid", "trabecular", "mixed"),
               synonyms=_also(trabecular="interdigitated|trabekulär|trabéculaire", mixed="gemischt|mixte|mixto")),
        Column("fracture_filled", "vocabulary", "How far cement filled the fracture.", vocabulary=("complete", "partial", "missed"),
               synonyms=_also(complete="komplett|vollständig|complet|complète|completo|completa|完全", partial="partiell|teilweise|partiel|partielle|parcial|部分",
                              missed="verfehlt|manquée|未填充")),
        _mm("anterior_mm_before", "Anterior height before treatment."),
        _mm("anterior_mm_after", "Anterior height on the first film after treatment."),
        _mm("middle_mm_before", "Middle height before treatment."),
        _mm("middle_mm_after", "Middle height on the first film after treatment."),
        _mm("posterior_mm_before", "Posterior height before treatment."),
        _mm("posterior_mm_after", "Posterior height on the first film after treatment."),
        _mm("anterior_mm_reference", "Expected anterior height, from the neighbours."),
        Column("kyphosis_deg_before", "number", "Kyphosis before treatment.", minimum=-60, maximum=120, unit="degrees"),
        Column("kyphosis_deg_after", "number", "Kyphosis on the first film after treatment.", minimum=-60, maximum=120, unit="degrees"),
        Column("pain_before", "number", "Pain before treatment.", minimum=0, maximum=10, unit="points"),
        Column("pain_after", "number", "Pain after treatment.", minimum=0, maximum=10, unit="points"),
    ),
    key="augmentation_id",
)  # fmt: skip

FRACTURES: Final = Table(
    "fractures",
    "One row per sighting of a vertebral fracture, before or after treatment.",
    (
        Column("fracture_id", "id", "Identifier of the sighting; made where absent."),
        _PATIENT,
        Column("date", "date", "Day the fracture was found.", required=True),
        Column(
            "date_precision", "vocabulary", "How exactly the date is known.", vocabulary=outcomes.DATE_PRECISIONS[:3]
        ),
        Column("level", "level", "Fractured vertebra.", required=True),
        Column("symptomatic", "finding", "Whether it caused pain."),
        Column("trauma", "finding", "Whether a new injury caused it."),
        Column("modality", "text", "Imaging that showed it."),
        Column("last_clear_date", "date", "Last imaging of that level without it."),
        Column("kind", "vocabulary", "The registry's judgement; missing = unjudged.", vocabulary=outcomes.KINDS),
    ),
    key="fracture_id",
)

IMAGING: Final = Table(
    "imaging",
    "One row per level measured at follow-up.",
    (
        _PATIENT,
        Column("date", "date", "Day of the film.", required=True),
        Column("level", "level", "Measured vertebra.", required=True),
        Column("modality", "text", "Modality."),
        Column(
            "posture",
            "vocabulary",
            "Posture.",
            vocabulary=("supine", "standing"),
            synonyms=_also(
                supine="lying|liegend|couché|allongé|decúbito|卧位|仰卧",
                standing="upright|erect|stehend|debout|de pie|站立|立位",
            ),
        ),
        _mm("anterior_mm", "Anterior height."),
        _mm("middle_mm", "Middle height."),
        _mm("posterior_mm", "Posterior height."),
        Column("kyphosis_deg", "number", "Kyphosis.", minimum=-60, maximum=120, unit="degrees"),
        Column("edema", "finding", "Marrow edema."),
        Column("cleft", "finding", "Fluid or vacuum cleft, or fluid at the bone-cement interface."),
    ),
)

IMAGING_STUDIES: Final = Table(
    "imaging_studies",
    "One row per imaging study, also those that found nothing.",
    (
        _PATIENT,
        Column("date", "date", "Day of the study.", required=True),
        Column("modality", "text", "Modality."),
        Column("first_level", "level", "Most cranial level shown."),
        Column("last_level", "level", "Most caudal level shown."),
        Column(
            "protocol",
            "vocabulary",
            "Why it was done.",
            vocabulary=("scheduled", "symptom", "unknown"),
            synonyms=_also(
                scheduled="routine|planned|geplant|programmé|programado|常规",
                symptom="symptoms|symptomatic|symptom-driven|beschwerden|症状",
            ),
        ),
    ),
)

ASSESSMENTS: Final = Table(
    "assessments",
    "One row per visit.",
    (
        _PATIENT,
        Column("date", "date", "Day of the visit.", required=True),
        Column("pain", "number", "Pain.", minimum=0, maximum=10, unit="points"),
        Column("odi", "number", "Oswestry disability index.", minimum=0, maximum=100, unit="points"),
    ),
)

MEDICATIONS: Final = Table(
    "medications",
    "One row per course or dose.",
    (
        _PATIENT,
        Column("drug", "text", "Name or ATC code.", required=True),
        Column("start", "date", "First day.", required=True),
        Column("stop", "date", "Last day; missing = to the end of its action, or of follow-up for daily drugs."),
        Column("drug_class", "vocabulary", "Class; from the drug where absent.", vocabulary=outcomes.DRUG_CLASSES),
    ),
)

EXCLUDED_LEVELS: Final = Table(
    "excluded_levels",
    "One row per level that cannot fracture in the usual way.",
    (
        _PATIENT,
        Column("level", "level", "Excluded vertebra.", required=True),
        Column(
            "reason",
            "vocabulary",
            "Why.",
            vocabulary=("fused", "instrumented", "ankylosed", "other"),
            synonyms=_also(
                fused="fusion|spondylodese|融合",
                instrumented="instrumentation|instrumentiert",
                ankylosed="ankylosis|ankylose",
            ),
        ),
        Column("from", "date", "Excluded after this day; missing = always."),
        Column("to", "date", "Excluded up to this day; missing = always."),
    ),
)

CANONICAL: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        PATIENTS, AUGMENTATIONS, FRACTURES, IMAGING, IMAGING_STUDIES, ASSESSMENTS, MEDICATIONS, EXCLUDED_LEVELS,
    )
}  # fmt: skip
REQUIRED_TABLES: Final = ("patients", "augmentations", "fractures")


def empty(table: Table) -> pd.DataFrame:
    """A table without rows, with every canonical column in its dtype."""
    return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in table})


def describe() -> pd.DataFrame:
    """The data dictionary: one row per table and column."""
    return pd.DataFrame(
        [
            {
                "table": table.name,
                "column": column.name,
                "required": "yes" if column.required else "no",
                "kind": column.kind,
                "unit": column.unit,
                "values": "; ".join(column.vocabulary),
                "minimum": column.minimum,
                "maximum": column.maximum,
                "description": column.description,
            }
            for table in CANONICAL.values()
            for column in table
        ]
    )
