"""Words of the policy language: numbers, quoted text, names with dots, signs."""

import math
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from app.core.policy.errors import ExpressionError

MAX_CHARACTERS = 500
MAX_TOKENS = 200

Kind = Literal["number", "text", "name", "sign", "end"]

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'[^'\n]*'|"[^"\n]*")
      | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[-<>!+*/()\[\],])""",
    re.VERBOSE | re.ASCII,
)
_WORDS = {"and": "&&", "or": "||", "not": "!", "in": "in"}


class Token(msgspec.Struct, frozen=True):
    """``value``: a float, the text without its quotes, the name or the sign. ``at``: offset of its first character."""

    kind: Kind
    value: float | str
    at: int


def tokens(text: str) -> list[Token]:
    """The words of ``text`` with one of kind ``end`` behind them. Raises ``ExpressionError``."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"longer than {MAX_CHARACTERS} characters", text, MAX_CHARACTERS)
    found = list(_tokens(text))
    if len(found) > MAX_TOKENS:
        raise ExpressionError(f"more than {MAX_TOKENS} words", text, found[MAX_TOKENS].at)
    return [*found, Token("end", "the end", len(text))]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(_strange(text, at), text, at)
        word = match[0]
        if match.lastgroup == "number":
            yield Token("number", _number(word, text, at), at)
        elif match.lastgroup == "text":
            yield Token("text", word[1:-1], at)
        elif match.lastgroup in {"name", "sign"}:
            sign = _WORDS.get(word, word)
            yield Token("name" if match.lastgroup == "name" and word not in _WORDS else "sign", sign, at)
        at = match.end()


def _number(word: str, text: str, at: int) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ExpressionError(f"{word} is too large for a number", text, at)
    return value


def _strange(text: str, at: int) -> str:
    sign = text[at]
    if sign in "'\"":
        return f"text that begins with {sign} is not closed on its line"
    hint = {"=": "; to compare write ==", "&": "; write && or the word and", "|": "; write || or the word or"}.get(sign)
    return f"{sign!r} means nothing here{hint or ''}"
