import pytest

from app.adapters.readmodel.told import Told
from app.core.split import ArmDefinition, Split, TrialSlice
from app.sim.scenario import Expected
from app.sim.story import chapters, promotions_seen

EXPECTED = Expected(service="chat", promoted="small", rolled_back="lite")


def event(status, action="", arm="", decision_id="d", service="chat", **more: object):
    data = {"decision_id": decision_id, "action": action, "evidence": {"challenger": arm}, "rationale": "Why.", **more}
    return Told(f"{status}-{action}-{arm}", "t", status, "2026-01-01T00:00:00Z", service, data)


def split(incumbent="small", on_trial=""):
    trial = TrialSlice("t", on_trial, incumbent, 0.05, 0.05) if on_trial else None
    return Split(
        service="chat",
        version=9,
        decision_id="d",
        incumbent=incumbent,
        arms=(ArmDefinition(name=incumbent, model="m"),),
        weights={"*": {incumbent: 1.0}},
        trial=trial,
    )


WHOLE = [
    event("decided", "open-trial", "small"),
    event("decided", "next-step", "small"),
    event("decided", "promote", "small", decision_id="p"),
    event("verified", decision_id="p", observed_share=0.95, requests=400),
    event("decided", "open-trial", "lite"),
    event("decided", "roll-back", "lite"),
]


def happened(told, last=None):
    return [chapter.happened for chapter in chapters(EXPECTED, told, last)]


def test_the_whole_story_is_recognised():
    assert happened(WHOLE, split()) == [True] * 7


def test_a_chapter_says_when_and_why():
    chapter = chapters(EXPECTED, WHOLE, split())[3]
    assert (chapter.at, chapter.why) == ("2026-01-01T00:00:00Z", "95% of 400 requests")


@pytest.mark.parametrize("missing", range(len(WHOLE)))
def test_each_missing_event_leaves_its_chapter_untold(missing):
    told = [e for k, e in enumerate(WHOLE) if k != missing]
    assert not happened(told, split())[missing]


def test_the_next_challenger_must_come_after_the_promotion():
    assert happened([*WHOLE[4:], *WHOLE[:4]], split())[4:6] == [False, False]


def test_a_proposal_is_not_a_decision_and_another_service_is_another_story():
    told = [event("proposed", "open-trial", "small"), event("decided", "open-trial", "small", service="mail")]
    assert not any(happened(told))


@pytest.mark.parametrize("last", [None, split("large"), split("small", on_trial="lite")])
def test_it_ends_well_only_when_the_good_arm_serves_without_the_bad_one(last):
    assert not happened(WHOLE, last)[6]


def test_a_promotion_counts_as_seen_once_it_is_verified():
    assert [e.challenger for e in promotions_seen(WHOLE)] == ["small"]
    assert promotions_seen(WHOLE[:3]) == []
