"""Policies in YAML: the form of governance tools, read safely, every mistake with its line."""

from pathlib import Path

import pytest

from app.adapters.codec.policies import read_policies, with_policies
from app.core.document import DocumentError, from_object

EXAMPLE = """\
policies:
  - id: cost-daily-limit
    name: Daily Cost Limit
    type: cost
    rules:
      - condition: "daily_cost > 1000"
        action: deny
        message: "Daily budget exceeded"

  - id: gdpr-compliance
    name: GDPR Data Residency
    type: compliance
    rules:
      - condition: "user.region == 'EU' && model.region != 'EU'"
        action: deny
        message: "EU users must use EU-hosted models"

  - id: quality-minimum
    name: Minimum Quality Score
    type: quality
    rules:
      - condition: "quality_score < 0.7"
        action: warn
        message: "Quality below acceptable threshold"
"""


def test_the_form_of_the_build_plan_is_read() -> None:
    policies = read_policies(EXAMPLE)
    assert [policy.id for policy in policies] == ["cost-daily-limit", "gdpr-compliance", "quality-minimum"]
    assert policies[1].rules[0].condition == "user.region == 'EU' && model.region != 'EU'"
    assert [policy.rules[0].action for policy in policies] == ["deny", "deny", "warn"]


def test_the_page_shows_yaml_that_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    assert len(read_policies(page.split("```yaml\n")[1].split("```")[0])) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "p.yaml: expected one key `policies`"),
        ("policies: 3", "p.yaml: expected one key `policies`"),
        ("policies: []\nmore: 1", "p.yaml: expected one key `policies`"),
        ("policies: [\n", "p.yaml:2: not YAML"),
        ("policies:\n  - id: a\n    rules:\n      - condition: daily_cost >\n", "p.yaml:4: policies[0].rules[0].condition: line 1"),
        ("policies:\n  - id: a\n    kind: cost\n", "p.yaml:3: policies[0].kind: unknown key"),
        ("policies:\n  - id: a\n    type: money\n", 'p.yaml:3: policies[0].type: not allowed, got "money"'),
        ("policies:\n  - id: a\n  - id: a\n", "p.yaml:3: policies[1].id: policy ids must be unique"),
        ("policies:\n  - id: 3\n", "p.yaml:2: policies[0].id"),
        ("policies:\n  - &x\n    id: a\n  - *x\n", "p.yaml:4: not YAML: anchors and aliases are not read"),
        ("policies: !!python/object/apply:os.system ['true']\n", "p.yaml:1: not YAML: could not determine a constructor"),
        ("policies: []\n---\npolicies: []\n", "p.yaml:2: not YAML"),
        ("[" * 20_000, "p.yaml: not YAML: nested too deeply"),
        ("\x00", "p.yaml: not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_policies(text, "p.yaml")
    assert str(caught.value).startswith(says)


def test_they_join_the_policies_of_the_document_and_are_checked_with_it() -> None:
    own = [{"id": "mine", "rules": [{"condition": "true", "action": "warn"}]}]
    arms = [{"name": "a"}, {"name": "b"}]
    document = from_object({"service": "chat", "arms": arms, "policies": own})
    joined = with_policies(document, read_policies(EXAMPLE))
    assert [policy.id for policy in joined.policies] == [
        "mine",
        "cost-daily-limit",
        "gdpr-compliance",
        "quality-minimum",
    ]
    with pytest.raises(DocumentError, match="unique"):
        with_policies(joined, read_policies(EXAMPLE))
    regions = {"by": "region", "values": ["eu"]}
    with pytest.raises(DocumentError, match="no declared segment"):
        with_policies(from_object({"service": "chat", "arms": arms, "segments": regions}), read_policies(EXAMPLE))
