"""Strategy ``a_b_testing``: declared arms in document order, and variants of the base prompt, one against the incumbent
at a time.

Variants are made from the prompt of the incumbent if it was made here, else from the base prompt of the document: a
winner is what the next variant starts from. A shorter prompt is expected to save the price of its tokens (four
characters a token); of the others nothing is expected but what their trial will show.
"""

from functools import lru_cache

import msgspec

from app.core.decision import Impact
from app.core.document import Arm, PromptPlan, Variant
from app.core.levers.cost_performance import cost_performance
from app.core.levers.expectation import Traffic, costs_of, traffic_of
from app.core.levers.lever import Candidate, Ideas, View
from app.core.levers.made_arm import PROMPT, key_of, made, prompt_version
from app.core.levers.prompt_variants import GENERATORS

CHARACTERS_PER_TOKEN = 4


def a_b_testing(view: View) -> Ideas:
    """Declared arms first, then the variants."""
    declared, others = cost_performance(view)
    order = view.document.arm_names
    found = [msgspec.structs.replace(c, strategy="prompt-testing") for c in declared]
    return [*sorted(found, key=lambda c: order.index(c.arm)), *prompt_variants(view)[0]], others


def prompt_variants(view: View) -> Ideas:
    """One candidate for each generator that changes the prompt and has not had its trial."""
    plan, parent = view.document.strategy.prompt, view.document.arm(view.incumbent)
    if not plan.text or parent is None:
        return [], []
    text, traffic = str(parent.features.get(PROMPT) or plan.text), traffic_of(view)
    material = msgspec.json.encode(plan)
    found: list[Candidate] = []
    for name in plan.variants:
        written = _written(name, text, material)
        if written == text:
            continue
        arm = made(parent, name, prompt_version=prompt_version(written), features={**parent.features, PROMPT: written})
        if key_of(arm) not in view.tried and not view.resting(arm.name):
            found.append(_candidate(view, arm, traffic, len(written) - len(text), name))
    return found, []


@lru_cache(maxsize=4096)
def _written(name: Variant, text: str, material: bytes) -> str:
    """What a generator writes; the same every time, and asked for at every look."""
    return GENERATORS[name](text, msgspec.json.decode(material, type=PromptPlan))


def _candidate(view: View, arm: Arm, traffic: Traffic, characters: int, idea: str) -> Candidate:
    price = traffic.book.of_model(arm.model or arm.name, traffic.now_s)
    now = costs_of(traffic, traffic.incumbent, traffic.profile)
    saved, expected = 0.0, {}
    if price is not None and now is not None and now.total > 0:
        saved = -price.input * characters / CHARACTERS_PER_TOKEN
        expected = {"cost": Impact(estimate=-saved / now.total, n=int(traffic.profile.n))}
    objective = view.document.objective
    gain = objective.effective.cost * saved / objective.cost_max_usd
    why = f"{idea.replace('_', ' ')} of the prompt, {characters:+d} characters"
    return Candidate(arm.name, gain, expected, "prompt-testing", arm, why)
