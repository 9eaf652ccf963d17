"""Every choice that moves a number, in one place: the StudyDefinition, read from `study.toml`.

Each stage receives only its own section. Defaults are those of docs/definitions.md; a study file states what differs.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cohort.domain.errors import DefinitionError

DateOrder = Literal["ymd", "dmy", "mdy"]
Timing = Literal["index", "row", "later"]
Unit = Literal["mm", "cm", "m", "ml", "cl", "l", "degrees", "radians", "years", "months", "points", "points_100", "SD"]
Days = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A frozen part of the study; an unknown setting is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceTable(Section):
    """Where one canonical table lies in the source and how its columns are written."""

    file: str | None = Field(
        None, description="file name in the source folder; default: <table>.csv, .tsv, .xlsx or .parquet"
    )
    sheet: str | None = Field(
        None,
        description="sheet of a workbook, or table of a database; default: that of the table's name, else the only one",
    )
    header_row: int | None = Field(
        None, ge=1, description="row number of the column names; default: the first row that holds anything"
    )
    encoding: str | None = Field(None, description="text encoding; default: detected and reported")
    delimiter: str | None = Field(None, description="column delimiter; default: detected and reported")
    decimal: Literal[".", ","] | None = Field(
        None, description="decimal mark; default: both are read where unambiguous"
    )
    rename: dict[str, str] = Field(default_factory=dict, description="source column = canonical column")
    recode: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="canonical column: written value = canonical value"
    )
    unit: dict[str, Unit] = Field(
        default_factory=dict, description="canonical column = the unit in which it is written, converted from"
    )
    constant: dict[str, str] = Field(
        default_factory=dict, description="canonical column = the value of every row, where the source has no column"
    )
    join: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="canonical column = source columns whose values together make its list or set"
    )
    flags: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="canonical set: yes/no source column = the word that its yes stands for",
    )
    repeat: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="canonical column = source columns that repeat across the sheet, as a pattern (level_{n}) or a "
        "list; every repetition that holds anything becomes a row of its own",
    )
    date_order: dict[str, DateOrder] = Field(default_factory=dict, description="canonical column = ymd, dmy or mdy")
    timing: dict[str, Timing] = Field(
        default_factory=dict,
        description="covariate = index (known at the first augmentation), row (known on the row's own date) or later "
        "(known only afterwards, so never a baseline)",
    )


class Criterion(Section):
    """Who may enter, by one thing known at entry."""

    column: str = Field(description="a covariate known at entry (docs/study-file.md)")
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] | None = None
    missing: Literal["leave_out", "keep"] = Field("leave_out", description="what becomes of patients without a value")
    label: str = Field("", description="the words of the flow; default: made from the bounds")

    @model_validator(mode="after")
    def _says_something(self) -> Criterion:
        if self.at_least is None and self.at_most is None and self.one_of is None:
            raise ValueError("a criterion needs at_least, at_most or one_of")
        return self


class PopulationSettings(Section):
    """Who enters the main figures."""

    criteria: tuple[Criterion, ...] = Field(
        (), description="eligibility by what is known at entry, as [[population.criteria]]; one row of the flow each"
    )

    include_incomplete: bool = Field(
        False, description="keep patients one of whose augmentation or fracture rows was rejected"
    )
    tumour_in_main: bool = Field(
        False, description="count patients whose first procedure treated a tumour in the main figures"
    )


class RelationRules(Section):
    """How a fracture is placed among the treated vertebrae (docs/definitions.md, section 4)."""

    reach: int = Field(1, ge=1, le=5, description="levels from a treated vertebra that count as adjacent")
    healing_days: Days = Field(90, description="days after a fracture in which the same vertebra cannot break anew")
    staged_days: Days = Field(14, description="days in which a second session finishes what the first began")
    onset_clear_days: Days = Field(30, description="days before entry within which a clear film proves a later onset")
    cascade_days: Days = Field(90, description="days in which a fracture next to an earlier one follows it (a cascade)")
    implied: bool = Field(True, description="count an augmentation for fracture as evidence of one that nobody listed")
    staged_sensitivity: tuple[Days, ...] = Field((0, 30, 60), description="staged windows shown beside the main figure")


class JudgementRules(Section):
    """When a same-level sighting is progression, settling or occult (docs/definitions.md, section 5)."""

    enabled: bool = Field(True, description="judge unjudged same-level sightings from imaging and pain")
    progression_loss: float = Field(
        0.15, gt=0, lt=1, description="anterior height loss, as a fraction of the baseline height"
    )
    settling_loss: float = Field(0.10, gt=0, lt=1, description="least anterior height loss that is settling")
    progression_kyphosis_deg: float = Field(10.0, gt=0, description="increase of kyphosis, degrees")
    baseline_days: Days = Field(42, description="days after treatment in which a film is the first post-operative one")
    worse_pain_points: float = Field(2.0, gt=0, description="points (0-10) above the lowest score after treatment")
    pain_days: Days = Field(30, description="days between a film and the pain score that goes with it")
    other_fracture_days: Days = Field(60, description="days within which another new fracture leaves pain unattributed")
    film_days: Days = Field(30, description="days between a sighting and the film that shows it")
    tier: Literal["radiographic", "clinical", "retreated"] = Field(
        "clinical", description="definition of the main figure"
    )


class AtRiskSettings(Section):
    """Which vertebrae are at risk, and which sightings are events."""

    death_closes: bool = Field(False, description="a death after follow_up_end closes the follow-up as an event")
    count_unproven: bool = Field(True, description="count unjudged sightings without a clear film near enough")
    exit_at: Literal["follow_up", "last_imaging"] = Field(
        "follow_up",
        description="a vertebra is at risk to the end of follow-up, or only to the last day on which it was looked at",
    )
    washout_days: Days = Field(
        0, description="days before entry in which a fracture of the same vertebra makes it prevalent: left out of rows"
    )

    @model_validator(mode="after")
    def _one_end(self) -> AtRiskSettings:
        if self.death_closes and self.exit_at == "last_imaging":
            raise ValueError("follow-up that ends with the last imaging cannot be closed by a later death; choose one")
        return self

    first_level: str = Field("T4", description="most cranial vertebra at risk")
    last_level: str | None = Field(None, description="most caudal vertebra at risk; default: the patient's last lumbar")


class ExposureSettings(Section):
    """When exposures are known and how long they last."""

    drug_durations: dict[str, int] = Field(
        default_factory=dict, description="drug = days of action, over the shipped list"
    )
    grace_days: Days = Field(
        0, description="days between two courses of one kind of drug that do not interrupt it (the gap counts as taken)"
    )
    junction: tuple[str, str] = Field(
        ("T11", "L2"),
        description="first and last vertebra of the thoracolumbar junction; authors differ (T10-L2, T11-L2, T12-L1)",
    )
    adjacent_whose: Literal["neighbour", "any_so_far"] = Field(
        "neighbour", description="an adjacent vertebra has its treated neighbour's cleft, leak and restoration, or any"
    )
    remote_whose: Literal["any_so_far", "attributed"] = Field(
        "any_so_far",
        description="a remote vertebra has any cleft, leak and restoration so far, or those of the augmentation that a "
        "fracture there would be attributed to",
    )
    two_neighbours: Literal["worse", "attributed"] = Field(
        "worse",
        description="between two treated neighbours the worse finding counts, or that of the one a fracture there "
        "would be attributed to",
    )
    open_course: Literal["follow_up", "duration_only"] = Field(
        "follow_up",
        description="a daily drug without a stop lasts to the end of follow-up, or is taken as unknown and ignored",
    )


class ModelSettings(Section):
    """Windows and adjustment sets; an adjustment set belongs to one exposure and no list of significant ones."""

    windows_days: tuple[int, ...] = Field((90, 365, 730), description="days at which incidence is read")
    horizon_days: int = Field(365, gt=0, description="horizon of the logistic regression")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    adjustment: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: {
            "cleft": ("t_score", "corticosteroids", "age"),
            "leak": ("cleft", "t_score", "age"),
            "height_restoration": ("cleft", "t_score", "age"),
            "t_score": ("age", "female"),
            "corticosteroids": ("age", "female"),
            "anti_osteoporotic": ("t_score", "corticosteroids", "age", "prior_fractures"),
        },
        description="exposure = covariates that close its back doors",
    )
    contrasts: dict[str, tuple[float, float]] = Field(
        default_factory=lambda: {"height_restoration": (0.0, 0.5), "t_score": (-3.5, -2.5)},
        description="exposure that is a number = the two values whose risks are compared (from, to)",
    )
    risk_model: Literal["cox", "logistic_ipcw"] = Field(
        "cox",
        description="model behind standardized risks: hazards of each cause (late entries included), or a logistic "
        "model at the horizon, weighted for loss; the other is shown among the checks",
    )
    penalized: Literal["on_separation", "always"] = Field(
        "on_separation",
        description="Firth's penalized ratios stand beside maximum likelihood, and are the main ones only where that "
        "has no finite value, or always",
    )
    imputations: int = Field(20, ge=0, le=200, description="completed data sets for missing findings; 0 leaves it out")
    shift_log_odds: float = Field(
        1.0,
        ge=0,
        description="sensitivity: how much likelier, and less likely, a finding that is missing is than others",
    )
    shift_sd: float = Field(
        0.5, ge=0, description="sensitivity: how much higher, and lower, a missing measure is, in standard deviations"
    )
    drug_lag_days: tuple[Days, ...] = Field(
        (0, 90, 180), description="days from the start of a drug to its action, and from its stop to the end of it"
    )
    landmark_days: tuple[Days, ...] = Field(
        (90, 180, 365), description="days on which a drug's use is read, as a check on its changing use"
    )

    @model_validator(mode="after")
    def _pooled(self) -> ModelSettings:
        if self.imputations == 1:
            raise ValueError("one imputation cannot be pooled; take 0 (none) or 2 and more")
        return self


class BiasSettings(Section):
    """What is assumed of error in exposures and outcomes; a share is of what is there (sensitivity) or not."""

    sensitivity: dict[str, tuple[float, ...]] = Field(
        default_factory=lambda: {"cleft": (0.14, 0.64, 0.96), "leak": (0.34, 0.48)},
        description="finding = sensitivities to correct for; the defaults are published (cleft: standing film, supine "
        "film, MRI, each against the cement reservoir; leak: lateral film, lateral and AP film, against CT)",
    )
    specificity: tuple[float, ...] = Field(
        (1.0, 0.98, 0.95), description="specificities to correct for; none was published, so these are assumptions"
    )
    outcome: tuple[tuple[float, float], ...] = Field(
        ((0.8, 1.0), (1.0, 0.99)),
        description="sensitivity and specificity of the registry for a refracture to correct for; assumptions",
    )
    draws: int = Field(100, ge=0, description="times that an adjusted ratio is told again with error; 0 leaves it out")

    @model_validator(mode="after")
    def _shares(self) -> BiasSettings:
        pairs = [value for pair in self.outcome for value in pair]
        for value in (*pairs, *self.specificity, *(one for many in self.sensitivity.values() for one in many)):
            if not 0 < value <= 1:
                raise ValueError(f"a sensitivity or specificity lies above 0 and at most at 1, and {value} does not")
        return self


class DisclosureSettings(Section):
    """What may be shown outside the registry."""

    minimum_count: int = Field(5, ge=0, description="counts of patients below this are suppressed")


class OutputSettings(Section):
    """What the report calls itself."""

    title: str = "Refracture after vertebral augmentation"
    registry: str = "Unnamed registry"
    question: str = (
        "How often does a vertebra fracture again after augmentation, at the same, an adjacent or a remote level, "
        "and which findings go with it?"
    )


class StudyDefinition(Section):
    """Every setting of one study."""

    reviewed: bool = Field(True, description="no: a mapping that `cohort map` proposed and nobody has read yet")
    tables: dict[str, SourceTable] = Field(default_factory=dict)
    population: PopulationSettings = PopulationSettings()
    relation: RelationRules = RelationRules()
    judgement: JudgementRules = JudgementRules()
    at_risk: AtRiskSettings = AtRiskSettings()
    exposures: ExposureSettings = ExposureSettings()
    models: ModelSettings = Field(default_factory=ModelSettings)
    bias: BiasSettings = Field(default_factory=BiasSettings)
    disclosure: DisclosureSettings = DisclosureSettings()
    output: OutputSettings = OutputSettings()

    @property
    def timing_of_covariates(self) -> dict[str, Timing]:
        """What the study declares of the undated covariates of patients."""
        return dict(self.tables.get("patients", SourceTable()).timing)

    @property
    def known_at_index(self) -> tuple[str, ...]:
        """Covariates of patients that the study declares as known at the first augmentation."""
        patients = self.tables.get("patients", SourceTable())
        return tuple(name for name, timing in patients.timing.items() if timing == "index")

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, so that a figure can name the definition it was made under."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_(self, section: str, **changes: Any) -> StudyDefinition:
        """A copy in which some settings of one section differ.

        >>> StudyDefinition().with_("relation", staged_days=0).relation.staged_days
        0
        """
        old: Section = getattr(self, section)
        return self.model_copy(update={section: type(old).model_validate({**old.model_dump(), **changes})})


def load_study(path: Path) -> StudyDefinition:
    """Read a study file.

    Raises DefinitionError, with the setting at fault, when it is no TOML, holds an unknown or impossible setting, or
    is a proposal that nobody has reviewed.
    """
    try:
        study = StudyDefinition.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise DefinitionError(f"The study file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path.name} is not a valid TOML file: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DefinitionError(
            f"{path.name}, setting {where}: {first['msg']}. See docs/study-file.md for what it may be."
        ) from error
    if not study.reviewed:
        raise DefinitionError(
            f"{path.name} is a proposal of `cohort map` that nobody has reviewed, and a guess is never applied. Read "
            "it, correct it, answer its questions (#?), and then set reviewed = true."
        )
    return study
