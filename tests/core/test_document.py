"""The service document: what is accepted, what is refused and how clearly, and that nothing is lost on the way."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cell import SEPARATOR
from app.core.document import (
    PRESETS,
    Arm,
    DocumentError,
    Objective,
    ServiceDocument,
    Weights,
    default_document,
    diff,
    from_json,
    from_object,
    parse_toml,
    segment_of,
    to_json,
    to_object,
    to_toml,
)
from app.core.document.reference import reference
from app.core.document.schema import tables

pytestmark = pytest.mark.simulation

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "documents").glob("*.toml"))
TWO_ARMS = '[[arms]]\nname = "large"\n[[arms]]\nname = "small"\n'
MINIMAL = f'service = "chat"\n{TWO_ARMS}'


def fault(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse_toml(text, "chat.toml")
    return caught.value


def test_the_smallest_document_is_a_name_and_two_arms() -> None:
    document = parse_toml(MINIMAL)
    assert document.incumbent == document.baseline == "large"
    assert (document.mode, document.policy, document.holdout_share) == ("recommend", "single", 0.05)
    assert document.trial.steps == (5, 25, 50, 90, 100)
    assert [arm.model for arm in document.arms] == ["large", "small"]


def test_the_documented_tolerances_are_the_defaults() -> None:
    rails = parse_toml(MINIMAL).guardrails
    assert (rails.quality.tolerance, rails.quality.rule) == (0.05, "strict")
    assert (rails.latency.tolerance, rails.latency.rule) == (0.2, "strict")
    assert (rails.errors.tolerance, rails.errors.rule) == (0.02, "strict")
    assert rails.cost.rule == "lenient"


def test_one_key_of_a_guardrail_keeps_the_other_defaults() -> None:
    rails = parse_toml(f'{MINIMAL}[guardrails.errors]\nrule = "lenient"\n').guardrails
    assert (rails.errors.tolerance_points, rails.errors.rule) == (0.02, "lenient")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_read_and_survives_toml_and_json(path: Path) -> None:
    document = parse_toml(path.read_text(), path.name)
    assert parse_toml(to_toml(document)) == document
    assert from_json(to_json(document)) == document


def test_there_are_examples_to_read() -> None:
    assert [path.name for path in EXAMPLES][:2] == ["minimal.toml", "support-chat.toml"]


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ('service = "chat"\nmode = ', 2, "", "not TOML"),
        (f'service = "chat"\nholdout_share = 0.9\n{TWO_ARMS}', 2, "holdout_share", "a number from 0 to 0.5"),
        (f'service = "chat"\nmode = "live"\n{TWO_ARMS}', 2, "mode", '"observe"'),
        (f'service = "chat"\nsticky = 1\n{TWO_ARMS}', 2, "sticky", "true or false"),
        (f'service = "chat"\nholdout = 0.1\n{TWO_ARMS}', 2, "holdout", "did you mean `holdout_share`?"),
        ('service = "chat"\n[[arms]]\nname = "a"\n[[arms]]\nnam = "b"', 5, "arms[1].nam", "did you mean `name`?"),
        (f"{MINIMAL}[trial]\n\nsteps = [5, 4, 100]", 8, "trial.steps", "must increase"),
        (f"{MINIMAL}[trial]\nsteps = [5, 50]", 7, "trial.steps", "last step must be 100"),
        (f"{MINIMAL}[trial]\nsteps = [5, 95, 100]", 7, "trial.steps", "no control slice"),
        (f"{MINIMAL}[trial]\nsteps = [5, 0.5, 100]", 7, "trial.steps[1]", "a whole number from 1 to 100"),
        (f'incumbent = "medium"\n{MINIMAL}', 1, "incumbent", '"large", "small"'),
        (f'baseline = "medium"\n{MINIMAL}', 1, "baseline", '"large", "small"'),
        ('service = "chat"', None, "arms", "at least one arm"),
        (TWO_ARMS, None, "service", "is required"),
        ('service = "*"\n', 1, "service", "does not begin with a space or *"),
        (f'{MINIMAL}[[arms]]\nname = "small"', 7, "arms[2].name", "must be unique"),
        (f'{MINIMAL}[[arms]]\nname = "other"', 7, "arms[2].name", "is taken"),
        (f"{MINIMAL}[objective.weights]\nquality = 0.9", 6, "objective.weights", "must sum to 1"),
        (f'{MINIMAL}[segments]\nvalues = ["eu"]', 7, "segments.values", "need `by`"),
        (f'{MINIMAL}[segments]\nby = "region"\nvalues = ["eu", "*"]', 8, "segments.values[1]", "reserved"),
        (f'{MINIMAL}[segments]\nby = "region"', 6, "segments", "no segment is declared"),
        (f'{MINIMAL}[budget]\ntime_zone = "Mars/Olympus"', 7, "budget.time_zone", "not a known time zone"),
        (f"{MINIMAL}[budget]\nday_usd = 10\nmonth_usd = 5", 7, "budget.day_usd", "at most month_usd = 5"),
        (f"{MINIMAL}[guardrails.quality]\ntolerance_points = 5", 7, "guardrails.quality.tolerance_points", "0 to 1"),
        (
            f'{MINIMAL}[[prices]]\nmodel = "m"\ninput_usd = 1\noutput_usd = 1\nvalid_from = "2026"',
            10,
            "prices[0].valid_from",
            "RFC 3339",
        ),
        (
            f"{MINIMAL}[[prices]]\nmodel = 'm'\ninput_usd = 1\noutput_usd = 1\nvalid_from = 2026-01-01T00:00:30Z",
            10,
            "prices[0].valid_from",
            "whole minute",
        ),
    ],
)
def test_an_error_names_the_line_the_key_and_what_is_allowed(text: str, line: int | None, key: str, says: str) -> None:
    error = fault(text)
    assert (error.line, error.key) == (line, key)
    assert str(error).startswith("chat.toml:")
    assert says in str(error)


def test_the_bad_value_is_shown_but_never_at_length() -> None:
    assert 'got "live"' in str(fault(f'service = "chat"\nmode = "live"\n{TWO_ARMS}'))
    assert len(str(fault(f'service = "chat"\nmode = "{"x" * 5000}"\n{TWO_ARMS}'))) < 300


def test_at_most_eight_segments_are_declared() -> None:
    values = ", ".join(f'"t{i}"' for i in range(9))
    assert "at most 8" in str(fault(f'{MINIMAL}[segments]\nby = "tenant"\nvalues = [{values}]'))


def test_toml_dates_and_times_become_utc_text() -> None:
    price = '[[prices]]\nmodel = "m"\ninput_usd = 1\noutput_usd = 2\n'
    document = parse_toml(f"{MINIMAL}{price}valid_from = 2026-01-01\n{price}valid_from = 2026-02-01T02:00:00+02:00\n")
    assert [p.valid_from for p in document.prices] == ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]


def test_own_weights_override_the_preset() -> None:
    assert Objective(preset="cost").effective == PRESETS["cost"]
    assert Objective(preset="cost", weights=Weights(1, 0, 0)).effective.quality == 1
    assert Objective().effective == Weights(0.6, 0.3, 0.1)


def test_unknown_services_are_observed_with_their_models_as_arms() -> None:
    document = default_document("search", ["m2", "m1", "m2"])
    assert (document.mode, document.arm_names, document.incumbent) == ("observe", ("m2", "m1"), "m2")
    assert from_json(to_json(document)) == document


def test_a_service_without_models_yet_has_no_arms() -> None:
    document = default_document("search", [])
    assert (document.arms, document.incumbent) == ((), "")


@pytest.mark.parametrize(
    ("by", "raw", "segment"),
    [
        ("", SEPARATOR.join(["acme", "code", "eu"]), "*"),
        ("tenant", SEPARATOR.join(["acme", "code", "eu"]), "acme"),
        ("tenant", SEPARATOR.join(["code", "acme", "eu"]), "other"),
        ("tenant", "", "other"),
        ("tenant", "other", "other"),
    ],
)
def test_a_segment_is_a_declared_value_or_other(by: str, raw: str, segment: str) -> None:
    values = ["acme", "code2"] if by else []
    document = from_object({"service": "s", "arms": [{"name": "a"}], "segments": {"by": by, "values": values}})
    assert segment_of(document, raw) == segment
    assert segment in document.segment_names


def test_diff_names_what_changed_and_nothing_else() -> None:
    old = parse_toml(MINIMAL)
    new = parse_toml(f'mode = "auto"\n{MINIMAL}parameters = {{temperature = 0.2}}\n[budget]\nday_usd = 5\n')
    assert [(c.parameter, c.old, c.new, c.change_type) for c in diff(old, new)] == [
        ("arms[small].parameters.temperature", None, 0.2, "add"),
        ("budget.day_usd", None, 5.0, "add"),
        ("mode", "recommend", "auto", "replace"),
    ]


def test_an_added_and_a_removed_arm_are_one_change_each() -> None:
    old, new = parse_toml(MINIMAL), parse_toml(f'{MINIMAL.replace("small", "tiny")}provider = "local"\n')
    assert [(c.parameter, c.change_type) for c in diff(old, new)] == [("arms[small]", "remove"), ("arms[tiny]", "add")]
    assert diff(old, new)[1].new == {"name": "tiny", "model": "tiny", "provider": "local"}


def test_a_new_order_of_arms_is_a_change_because_it_moves_requests() -> None:
    old = parse_toml(f'incumbent = "large"\n{MINIMAL}')
    new = msgspec.structs.replace(old, arms=old.arms[::-1])
    assert [c.parameter for c in diff(old, new)] == ["arms (order)"]


def test_the_first_document_is_all_added() -> None:
    changes = diff(None, parse_toml(MINIMAL))
    assert {c.change_type for c in changes} == {"add"}
    assert [c.parameter for c in changes] == ["arms[large]", "arms[small]", "baseline", "incumbent", "service"]


def json_nest(depth: int) -> object:
    return [json_nest(depth - 1)] if depth else 1


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda s: s[0] not in "* " and not s[0].isspace() and s != "other"
)
json_values = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)
documents = st.builds(
    lambda service, arms, share, mode, day: from_object(
        {
            "service": service,
            "holdout_share": share,
            "mode": mode,
            "arms": [{"name": name, "parameters": parameters} for name, parameters in arms.items()],
            "budget": {} if day is None else {"day_usd": day},
        }
    ),
    names,
    st.dictionaries(names, st.dictionaries(st.text(max_size=6), json_values, max_size=3), min_size=1, max_size=3),
    st.floats(0, 0.5),
    st.sampled_from(["observe", "recommend", "approve", "auto"]),
    st.none() | st.floats(0.01, 1e6),
)


@settings(max_examples=50)
@given(documents)
def test_any_document_reads_back_from_its_own_toml_and_json(document: ServiceDocument) -> None:
    assert parse_toml(to_toml(document)) == document
    assert from_json(to_json(document)) == document
    assert from_object(to_object(document)) == document


@settings(max_examples=25)
@given(documents, documents)
def test_diff_is_empty_exactly_for_equal_documents(one: ServiceDocument, other: ServiceDocument) -> None:
    assert diff(one, one) == []
    assert (diff(one, other) == []) == (one == other)


@given(st.binary(max_size=60) | json_values.map(msgspec.json.encode))
def test_whatever_the_bytes_only_a_document_error_comes_out(data: bytes) -> None:
    try:
        from_json(data)
    except DocumentError as error:
        assert str(error)


@given(st.text(max_size=60))
def test_whatever_the_text_only_a_document_error_comes_out(text: str) -> None:
    try:
        parse_toml(text, "x.toml")
    except DocumentError as error:
        assert str(error).startswith("x.toml")


def test_the_reference_page_is_what_the_structs_say() -> None:
    page = ROOT / "docs" / "service-document.md"
    assert page.read_text() == reference(), "write it again: llm-optimizer service reference > docs/service-document.md"


def test_every_field_says_what_it_is() -> None:
    for header, kind in tables():
        for line in reference().split(f"## `{header}`")[-1].splitlines():
            assert "|  |" not in line, (header, kind, line)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "JSON and TOML share"),
        (float("inf"), "JSON and TOML share"),
        ([1, None], "JSON and TOML share"),
        (2**60, "too large"),
        (json_nest(12), "nested deeper"),
    ],
)
def test_parameters_hold_only_what_toml_and_json_share(value: object, says: str) -> None:
    with pytest.raises(DocumentError, match=says) as caught:
        from_object({"service": "s", "arms": [{"name": "a", "parameters": {"x": value}}]})
    assert caught.value.key.startswith("arms[0].parameters.x")


@pytest.mark.parametrize("read", [parse_toml, from_json])
def test_endless_nesting_is_an_error_not_a_crash(read: Callable[[str], ServiceDocument]) -> None:
    with pytest.raises(DocumentError):
        read("x = " * (read is parse_toml) + "[" * 200_000)


def test_arms_define_themselves_for_the_split() -> None:
    definition = Arm(name="small", prompt_version="v2", parameters={"temperature": 0}).definition()
    assert (definition.name, definition.model, definition.prompt_version) == ("small", "small", "v2")
    assert definition.parameters == {"temperature": 0}
