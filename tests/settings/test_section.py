import msgspec
import pytest

from app.settings.aliases import ALIASES, PROFILES
from app.settings.model import FIELDS, Path


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_every_setting_has_a_reason_and_says_what_is_allowed(path: Path):
    field = FIELDS[path]
    assert field.reason.endswith(".")
    assert field.allowed
    assert "another kind" not in field.allowed


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_every_default_is_within_its_own_bounds(path: Path):
    field = FIELDS[path]
    assert msgspec.convert(field.default, field.type) == field.default


def test_every_number_has_both_bounds():
    numbers = [
        path for path, field in FIELDS.items() if isinstance(field.default, float | int) and field.default is not True
    ]
    unbounded = [
        ".".join(path)
        for path in numbers
        if not isinstance(FIELDS[path].default, bool) and "at most" not in FIELDS[path].allowed
    ]
    assert unbounded == []


def test_every_number_of_a_unit_names_it():
    assert FIELDS[("ingest", "lateness_s")].allowed == "a whole number of seconds of at least 0 and at most 3,600"
    assert (
        FIELDS[("kafka", "fetch_max_wait_ms")].allowed
        == "a whole number of milliseconds of at least 1 and at most 5,000"
    )


def test_passwords_and_tokens_are_secret():
    words = ("password", "token", "_key", "database_url")
    assert {path for path, field in FIELDS.items() if field.secret} == {
        path for path in FIELDS if path[1].endswith(words)
    }


def test_aliases_and_profiles_name_settings_that_exist():
    assert set(ALIASES.values()) <= set(FIELDS)
    for changes in PROFILES.values():
        assert set(changes) <= set(FIELDS)
    assert set(PROFILES) == {"standalone", "sidecar", "daemon"}
