"""What a prompt looks like in numbers: length, kinds of characters, task, hashed words. Known before any answer."""

import re
from itertools import pairwise
from zlib import crc32

import numpy as np

from app.core.backtest.policy import Problem
from app.core.backtest.table import Floats

WORDS = 48
"""Buckets words are hashed into, with signs (Weinberger and others, 2009)."""
TASKS = 64
"""Tasks beyond this many share columns."""
PROMPT_MAX = 4000
"""Characters of a prompt that are looked at."""
_WORD = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")
_SHAPES = (re.compile(r"[0-9]"), re.compile(r"[A-Z]"), re.compile(r"[^\w\s]"), re.compile(r"\n"))


def features(problem: Problem) -> tuple[Floats, tuple[slice, ...]]:
    """Requests x features, and the columns of each group: a constant, shape of the text, task, words."""
    n = len(problem.segment)
    blocks = [np.ones((n, 1))]
    if problem.in_tokens is not None:
        blocks.append((np.log1p(problem.in_tokens)[:, None] - 5.0) / 2.0)
    if problem.prompts is not None:
        blocks.append(np.array([_shape(prompt) for prompt in problem.prompts]))
    if len(problem.segments) > 1:
        tasks = np.zeros((n, min(TASKS, len(problem.segments))))
        tasks[np.arange(n), np.array(problem.segment) % TASKS] = 1.0
        blocks.append(tasks)
    if problem.prompts is not None:
        blocks.append(np.array([_words(prompt) for prompt in problem.prompts]))
    edges = np.cumsum([0, *(block.shape[1] for block in blocks)]).tolist()
    return np.hstack(blocks), tuple(slice(a, b) for a, b in pairwise(edges))


def _shape(prompt: str) -> list[float]:
    text = prompt[:PROMPT_MAX]
    return [(np.log1p(len(prompt)) - 5.0) / 2.0, *(5.0 * len(s.findall(text)) / (len(text) + 10.0) for s in _SHAPES)]


def _words(prompt: str) -> list[float]:
    counts = [0.0] * WORDS
    for word in set(_WORD.findall(prompt[:PROMPT_MAX].lower())):
        code = crc32(word.encode())
        counts[code % WORDS] += 1.0 if code & 0x80000000 else -1.0
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return [count / length for count in counts]
