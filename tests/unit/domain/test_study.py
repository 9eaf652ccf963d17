"""A study file states what differs from the defaults; an unknown setting is an error, never ignored."""

import pytest

from cohort.domain.errors import DefinitionError
from cohort.domain.study import StudyDefinition, load_study


def test_a_setting_of_the_file_replaces_the_default(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("[relation]\nreach = 2\n", encoding="utf-8")
    study = load_study(path)
    assert study.relation.reach == 2
    assert study.relation.healing_days == 90


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relation]\nreech = 2\n", "relation.reech"),
        ("[relation]\nreach = 0\n", "relation.reach"),
        ("[tables.fractures.date_order]\ndate = 'ydm'\n", "date_order"),
        ("[relation\n", "not a valid TOML file"),
        ("[models]\nimputations = 1\n", "one imputation cannot be pooled"),
    ],
)
def test_a_wrong_study_file_is_refused_with_the_setting_at_fault(tmp_path, text, said):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match=said):
        load_study(path)


def test_the_digest_changes_with_any_setting_and_with_nothing_else():
    assert StudyDefinition().digest == StudyDefinition().digest
    assert StudyDefinition().with_("relation", staged_days=15).digest != StudyDefinition().digest
