"""Seven generators of prompt variants (requirements/004, A/B prompt testing): text in, text out, nothing else.

Three shorten or simplify what is there, four add what the service document gives as material. Code, quotations and
placeholders (``...``, "...", {...}) are never touched. A generator that cannot change anything returns the text as it
was, which is no variant.

>>> redundancy_removal("Be brief. Answer in English. Be brief.", PromptPlan())
'Be brief. Answer in English.'
>>> compression("Please make sure that you answer in order to help.", PromptPlan())
'Ensure you answer to help.'
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from app.core.document import PromptPlan, Variant

_PROTECTED = re.compile(r"(```.*?```|`[^`\n]*`|\"[^\"\n]*\"|\{[^{}\n]*\})", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|\n|$)|[.!?]+|\n")
_WORDS = re.compile(r"\w+")

_SHORTER = {
    "it is important to note that": "",
    "please note that": "",
    "keep in mind that": "",
    "as you may know": "",
    "with regard to": "about",
    "with respect to": "about",
    "due to the fact that": "because",
    "in the event that": "if",
    "at this point in time": "now",
    "a large number of": "many",
    "make sure that": "ensure",
    "make sure to": "",
    "be sure to": "",
    "in order to": "to",
    "so as to": "to",
    "as well as": "and",
    "please": "",
    "kindly": "",
    "very": "",
    "really": "",
    "basically": "",
    "actually": "",
    "simply": "",
}
"""Wordings that say nothing, or say it longer (Jiang et al., LLMLingua 2023, drop tokens a model would guess)."""
_SIMPLER = {
    "utilize": "use",
    "utilise": "use",
    "facilitate": "help",
    "demonstrate": "show",
    "subsequently": "then",
    "approximately": "about",
    "sufficient": "enough",
    "terminate": "end",
    "commence": "begin",
    "endeavor": "try",
    "endeavour": "try",
    "ascertain": "find out",
    "prior to": "before",
    "in accordance with": "by",
    "nevertheless": "but",
    "regarding": "about",
    "additional": "more",
    "numerous": "many",
    "assistance": "help",
    "require": "need",
    "provide": "give",
    "indicate": "say",
    "obtain": "get",
    "purchase": "buy",
}
_CHAIN = "Think step by step before you answer. Then give the final answer alone, on a line that begins with Answer:"

_CAPITAL = "\x00"
"""A sentence lost its first word here: the next one takes its capital."""

Generator = Callable[[str, PromptPlan], str]


def redundancy_removal(text: str, _: PromptPlan) -> str:
    """Without sentences and lines that were said before, and without runs of spaces."""
    seen: set[str] = set()
    kept: list[str] = []
    for part in _parts(text):
        if _PROTECTED.fullmatch(part):
            kept.append(part)
            continue
        for sentence in _SENTENCE.findall(part):
            said = " ".join(_WORDS.findall(sentence.lower()))
            whole = len(said.split()) > 1 and sentence.rstrip()[-1:] in (".", "!", "?")
            if whole and said in seen:
                continue
            if whole:
                seen.add(said)
            kept.append(sentence)
    return _tidied("".join(kept))


def compression(text: str, _: PromptPlan) -> str:
    """Without filler words; long phrases by their short form."""
    return _tidied(_replaced(text, _SHORTER))


def simpler_language(text: str, _: PromptPlan) -> str:
    """Long words by plain ones."""
    return _replaced(text, _SIMPLER)


def structured_output(text: str, plan: PromptPlan) -> str:
    """Asks for JSON by the schema of the document."""
    if not plan.schema:
        return text
    schema = msgspec.json.encode(plan.schema, order="deterministic").decode()
    return f"{text.rstrip()}\n\nAnswer with one JSON object that matches this schema, and nothing else:\n{schema}"


def constraints(text: str, plan: PromptPlan) -> str:
    """States the rules of the document that the text does not state yet."""
    missing = [rule for rule in plan.rules if rule.lower() not in text.lower()]
    if not missing:
        return text
    return f"{text.rstrip()}\n\nKeep to these rules:\n" + "\n".join(f"- {rule}" for rule in missing)


def few_shot(text: str, plan: PromptPlan) -> str:
    """Shows the solved examples of the document that the text does not show yet."""
    missing = [example for example in plan.examples if example not in text]
    return f"{text.rstrip()}\n\nExamples:\n" + "\n".join(missing) if missing else text


def chain_of_thought(text: str, _: PromptPlan) -> str:
    """Asks for the steps before the answer (Wei et al., NeurIPS 2022; zero-shot form of Kojima et al., 2022)."""
    return text if "step by step" in text.lower() else f"{text.rstrip()}\n\n{_CHAIN}"


GENERATORS: Mapping[Variant, Generator] = {
    "few_shot": few_shot,
    "chain_of_thought": chain_of_thought,
    "structured_output": structured_output,
    "compression": compression,
    "simpler_language": simpler_language,
    "constraints": constraints,
    "redundancy_removal": redundancy_removal,
}


def _parts(text: str) -> list[str]:
    """The text in pieces, protected ones alone."""
    return [part for part in _PROTECTED.split(text) if part]


def _replaced(text: str, wordings: Mapping[str, str]) -> str:
    pattern = re.compile(
        r"\b(" + "|".join(map(re.escape, sorted(wordings, key=len, reverse=True))) + r")\b[ \t]?", re.IGNORECASE
    )

    def shorter(found: re.Match[str]) -> str:
        new = wordings[found[1].lower()]
        if not new:
            return _CAPITAL if found[1][0].isupper() else ""
        return (new[0].upper() + new[1:] if found[1][0].isupper() else new) + found[0][len(found[1]) :]

    parts = (part if _PROTECTED.fullmatch(part) else pattern.sub(shorter, part) for part in _parts(text))
    return re.sub(f"{_CAPITAL}+(.?)", lambda found: found[1].upper(), "".join(parts))


def _tidied(text: str) -> str:
    """One space between words, at most one empty line."""
    parts = [
        p if _PROTECTED.fullmatch(p) else re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", p)) for p in _parts(text)
    ]
    return "".join(parts).strip()
