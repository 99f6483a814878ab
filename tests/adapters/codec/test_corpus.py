"""Records that have broken decoders: each becomes exactly what the index says, for ever."""

import json
from pathlib import Path

import pytest

from app.adapters.codec.reasons import REASONS
from app.core.events import Rejected

FOLDER = Path(__file__).parent / "corpus"
INDEX = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("name", INDEX)
def test_each_record_of_the_corpus_becomes_what_the_index_says(decode, counts, name):
    case = INDEX[name]
    headers = [(key, value.encode(errors="surrogateescape")) for key, value in case["headers"]]
    event = decode((FOLDER / f"{name}.bin").read_bytes(), headers)
    assert (f"/{event.reason}" if isinstance(event, Rejected) else type(event).__name__) == case["expect"], event
    assert not counts["internal_error"]


def test_every_value_has_an_entry_in_the_index():
    assert {path.stem for path in FOLDER.glob("*.bin")} == set(INDEX)


def test_the_corpus_shows_every_reason_but_a_defect_and_a_megabyte():
    shown = {case["expect"].removeprefix("/") for case in INDEX.values()}
    assert set(REASONS) - shown == {"internal_error", "too_large", "not_otlp"}  # the last is shown by test_otlp
