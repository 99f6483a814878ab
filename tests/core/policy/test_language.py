"""Conditions of policies: what they mean, what is refused with its place, and that nothing else ever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.policy.errors import ExpressionError
from app.core.policy.evaluate import UNKNOWN, Attributes, Unlisted, holds
from app.core.policy.names import METRICS, NAMES
from app.core.policy.syntax import MAX_DEPTH, Binary, Constant, Name, Node, Unary, names_in, parse
from app.core.policy.tokens import MAX_CHARACTERS

HERE: Attributes = {
    "user.region": "EU", "model.region": "US", "model.name": "gpt-4o", "daily_cost": 1200.0, "cost_usd": 0.002,
    "latency_ms": 800.0, "arm.capabilities": ("vision", "tools"), "arm.parameters.temperature": 0.3,
    "arm.features.cache": True, "change.action": "promote", "error_rate": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "means"),
    [
        ("daily_cost > 1000", True),
        ("user.region == 'EU' && model.region != 'EU'", True),
        ('user.region == "EU" and model.region == "EU"', False),
        ("quality_score < 0.7", None),
        ("quality_score < 0.7 && daily_cost > 5000", False),
        ("quality_score < 0.7 || daily_cost > 1000", True),
        ("!(daily_cost > 1000)", False),
        ("not (quality_score < 0.7)", None),
        ("not not daily_cost > 1000", True),
        ("model.name in ['gpt-4o', 'gpt-4o-mini']", True),
        ("model.name not in ['gpt-4o', 'gpt-4o-mini']", False),
        ("'audio' in arm.capabilities", False),
        ("'vision' in arm.capabilities", True),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("8 / 4 / 2 == 1", True),
        ("-cost_usd * 1000 <= -2", True),
        ("latency_ms / 1000 >= .8", True),
        ("cost_usd / error_rate > 1", None),
        ("arm.parameters.temperature > 0.2", True),
        ("arm.parameters.top_p > 0.2", None),
        ("arm.features.cache", True),
        ("arm.features.cache == true", True),
        ("arm.parameters.temperature == 'warm'", False),
        ("arm.parameters.temperature > 'warm'", None),
        ("model.name < 'h'", True),
        ("change.action in []", False),
        ("1e300 * 1e300 > 1", None),
        ("true || quality_score < 1", True),
        ("false", False),
    ],
)
def test_a_condition_is_true_false_or_unknown(condition: str, means: bool | None) -> None:
    assert holds(parse(condition), HERE) is means


def test_text_that_is_only_known_not_to_be_listed() -> None:
    other = {"user.region": Unlisted(("EU", "US"))}
    assert holds(parse("user.region == 'EU'"), other) is False
    assert holds(parse("user.region != 'EU'"), other) is True
    assert holds(parse("user.region == 'CN'"), other) is None
    assert holds(parse("user.region in ['EU', 'US']"), other) is False
    assert holds(parse("user.region in ['EU', 'CN']"), other) is None


@pytest.mark.parametrize(
    ("condition", "line", "column", "says"),
    [
        ("", 1, 1, "expected a number, text, a name or a bracket, got the end"),
        ("daily_cost", 1, 1, "expected a comparison, got a number"),
        ("daily_cost > ", 1, 14, "got the end"),
        ("daily_cots > 1", 1, 1, "did you mean daily_cost?"),
        ("xyz.abc == 1", 1, 1, "docs/policies.md"),
        ("model.name = 'x'", 1, 12, "to compare write =="),
        ("true & false", 1, 6, "write &&"),
        ("true &&\n  daily_cost > 'x'", 2, 14, "a number is compared with a text"),
        ("model.name == 'x", 1, 15, "not closed"),
        ("1 < 2 < 3", 1, 7, "expected the end, got <"),
        ("true < false", 1, 6, "have no order"),
        ("arm.capabilities == 'x'", 1, 18, "use in"),
        ("'x' in model.name", 1, 8, "expected a list"),
        ("arm.capabilities in ['x']", 1, 1, "cannot be in a list"),
        ("[1, [2]] == 3", 1, 5, "a list in a list"),
        ("model.name + 1 > 2", 1, 1, "expected a number, got a text"),
        ("!daily_cost", 1, 2, "expected a comparison"),
        ("(true", 1, 6, "expected ), got the end"),
        ("true)", 1, 5, "expected the end, got )"),
        ("12abc > 1", 1, 1, "means nothing here"),
        ("1e999 > 1", 1, 1, "too large"),
        ("__import__('os')", 1, 1, "unknown name __import__"),
        ("model.name.__class__ == 'x'", 1, 1, "unknown name"),
        ("arm.parameters == 1", 1, 1, "unknown name arm.parameters"),
        ("daily_cost > 1; true", 1, 15, "';' means nothing here"),
        ("größe > 1", 1, 3, "means nothing here"),
    ],
)
def test_a_condition_that_cannot_be_read_says_where_and_why(condition: str, line: int, column: int, says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(condition)
    assert (caught.value.line, caught.value.column) == (line, column), caught.value
    assert says in str(caught.value)


@pytest.mark.parametrize("deep", ["(" * 400 + "true", "!" * 400 + "true", "-" * 400 + "1 > 0", "[" * 400])
def test_depth_is_bounded(deep: str) -> None:
    with pytest.raises(ExpressionError, match=f"deeper than {MAX_DEPTH}|more than 200 words"):
        parse(deep)


def test_length_is_bounded() -> None:
    parse("||".join(["true"] * 80))
    with pytest.raises(ExpressionError, match="more than 200 words"):
        parse("||".join(["1<2"] * 60))
    with pytest.raises(ExpressionError, match=f"longer than {MAX_CHARACTERS}"):
        parse("true" + " " * MAX_CHARACTERS)


@given(st.text(max_size=120))
def test_whatever_the_text_only_an_expression_error_comes_out(text: str) -> None:
    try:
        holds(parse(text), HERE)
    except ExpressionError as error:
        assert error.line >= 1 and error.column >= 1


words = st.sampled_from([
    "daily_cost", "model.name", "user.region", "arm.capabilities", "arm.parameters.x", "true", "false", "'a'", "1", "0.5",
    "==", "!=", "<", ">=", "in", "not", "and", "||", "&&", "!", "-", "+", "*", "/", "(", ")", "[", "]", ",",
])  # fmt: skip
VALUES = st.one_of(
    st.floats(), st.integers(), st.text(max_size=3), st.booleans(), st.just(UNKNOWN), st.just(Unlisted(("a",))),
    st.tuples(st.text(max_size=2)),
)  # fmt: skip


@given(st.lists(words, max_size=14).map(" ".join), st.dictionaries(st.sampled_from(sorted(NAMES)), VALUES))
def test_whatever_can_be_read_has_an_answer_for_any_attributes(text: str, given_: dict[str, object]) -> None:
    try:
        tree = parse(text)
    except ExpressionError:
        return
    assert holds(tree, given_) in (True, False, None)  # type: ignore[arg-type]  # attributes of any kind, on purpose


comparisons = st.builds(
    lambda name, sign, limit: (f"{name} {sign} {limit!r}", Binary(sign, Name(name), Constant(limit))),
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.floats(0, 1e6),
)
trees = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) && ({p[1][0]})", Binary("&&", p[0][1], p[1][1]))),
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) || ({p[1][0]})", Binary("||", p[0][1], p[1][1]))),
        inner.map(lambda p: (f"!({p[0]})", Unary("!", p[1]))),
    ),
    max_leaves=5,
)


@given(trees, st.dictionaries(st.sampled_from(sorted(METRICS)), st.floats(0, 1e6)))
def test_a_tree_is_read_back_and_means_what_python_says(tree: tuple[str, Node], metrics: dict[str, float]) -> None:
    text, node = tree
    if len(text) > MAX_CHARACTERS:
        return
    assert parse(text) == node
    if names_in(node) <= metrics.keys():
        python = text.replace("&&", " and ").replace("||", " or ").replace("!(", " not (")
        assert holds(node, metrics) is eval(python, {"__builtins__": {}}, metrics)  # noqa: S307  the text is the test's own
    for name in names_in(node):  # what is known never depends on what is not: filling in can only decide the open
        without = {key: value for key, value in metrics.items() if key != name}
        assert holds(node, without) in (None, holds(node, metrics))
