from app.adapters.process.stall import Living, Stall, Standing


def test_a_source_that_stands_with_lag_is_stalled_after_the_limit():
    stall = Stall(120.0)
    assert stall.look({"t-0": Standing(5, 3)}, 0.0) == []
    assert stall.look({"t-0": Standing(5, 9)}, 119.0) == []
    assert stall.look({"t-0": Standing(5, 9)}, 120.0) == ["t-0"]


def test_a_source_that_moves_is_not_stalled_however_far_behind():
    stall = Stall(120.0)
    for second in range(0, 1000, 100):
        assert stall.look({"t-0": Standing(second, 1_000_000)}, float(second)) == []


def test_a_source_without_lag_may_stand_for_ever():
    stall = Stall(120.0)
    for second in (0.0, 1e6):
        assert stall.look({"t-0": Standing(5, 0)}, second) == []
    assert stall.look({"t-0": Standing(5, 1)}, 1e6 + 1) == []


def test_a_source_that_goes_to_another_worker_is_forgotten():
    stall = Stall(120.0)
    stall.look({"t-0": Standing(5, 3)}, 0.0)
    stall.look({}, 60.0)
    assert stall.look({"t-0": Standing(5, 3)}, 130.0) == []


def test_a_limit_of_zero_is_no_limit():
    stall, living = Stall(0.0), Living(0.0)
    stall.look({"t-0": Standing(5, 3)}, 0.0)
    assert stall.look({"t-0": Standing(5, 3)}, 1e9) == []
    living.lost({"ingest": False}, 0.0)
    assert living.lost({"ingest": False}, 1e9) == []


def test_a_process_that_does_not_answer_is_lost_after_the_limit_and_found_when_it_answers():
    living = Living(10.0)
    assert living.lost({"ingest": False, "optimize": True}, 0.0) == []
    assert living.lost({"ingest": False, "optimize": True}, 10.0) == ["ingest"]
    assert living.lost({"ingest": True, "optimize": True}, 11.0) == []
    assert living.lost({"ingest": False, "optimize": True}, 12.0) == []
