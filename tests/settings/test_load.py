from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from app.settings import Settings, SettingsError, load, load_with_origins
from app.settings.model import FIELDS


def problems(
    config: Path | None = None, env: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(config, env, flags)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "optimizer.toml"


def test_without_any_source_every_setting_has_its_default():
    loaded = load_with_origins()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(FIELDS)


def test_the_defaults_keep_every_rule_between_settings():
    load()


def test_flags_win_over_the_environment_and_that_over_the_file(config: Path):
    config.write_text("[web]\nport = 1\nhost = '127.0.0.2'\n[state]\ndir = 'kept'\n")
    env = {"LLM_OPTIMIZER__WEB__PORT": "2", "LLM_OPTIMIZER__WEB__HOST": "127.0.0.3"}
    loaded = load_with_origins(config, env, {"web.port": "3"})
    assert (loaded.settings.web.port, loaded.settings.web.host, loaded.settings.state.dir) == (3, "127.0.0.3", "kept")
    assert loaded.origins[("web", "port")] == "flag web.port"
    assert loaded.origins[("web", "host")] == "environment variable LLM_OPTIMIZER__WEB__HOST"
    assert loaded.origins[("state", "dir")] == f"{config}: [state] dir"


def test_the_environment_may_name_the_file(config: Path):
    config.write_text("[web]\nport = 81\n")
    assert load(env={"LLM_OPTIMIZER_CONFIG": str(config)}).web.port == 81


def test_a_file_given_as_flag_replaces_the_one_of_the_environment(config: Path):
    config.write_text("[web]\nport = 81\n")
    assert load(config, {"LLM_OPTIMIZER_CONFIG": "/nowhere.toml"}).web.port == 81


def test_the_platforms_own_names_are_understood():
    settings = load(
        env={
            "KAFKA_BROKERS": "broker-0:9092,broker-1:9092",
            "KAFKA_USERNAME": "auto-optimizer",
            "KAFKA_PASSWORD": "hush",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://observatory:4317",
            "GOVERNANCE_URL": "http://llm-governance:8080",
            "REGISTRY_URL": "http://llm-registry:8080",
            "OBSERVATORY_URL": "http://llm-observatory:4317",
            "MODE": "daemon",
            "OPTIMIZATION_INTERVAL": "15m",
        }
    )
    assert settings.kafka.bootstrap_servers == "broker-0:9092,broker-1:9092"
    assert settings.kafka.protocol == "SASL_SSL"
    assert settings.telemetry.otlp_endpoint == "grpc://observatory:4317"
    assert settings.deployment.profile == "daemon"
    assert settings.optimize.cycle_s == 900


def test_the_own_name_wins_over_the_platforms():
    env = {"KAFKA_BROKERS": "a:1", "LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS": "b:2"}
    assert load(env=env).kafka.bootstrap_servers == "b:2"


def test_an_empty_variable_of_the_platform_means_not_given():
    assert load(env={"MODE": "", "KAFKA_BROKERS": ""}) == Settings()


def test_a_profile_changes_defaults_and_says_so():
    loaded = load_with_origins(env={"MODE": "sidecar"})
    assert loaded.settings.optimize.max_services == 50
    assert loaded.origins[("optimize", "max_services")] == "profile sidecar"


def test_what_somebody_set_wins_over_the_profile():
    assert load(env={"MODE": "sidecar"}, flags={"optimize.max_services": "7"}).optimize.max_services == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45", 45.0), ("500ms", 0.5), ("15m", 900.0), ("1h30m", 5400.0), (" 2s ", 2.0), ("0.25", 0.25)],
)
def test_durations_are_numbers_of_seconds_or_carry_a_unit(text: str, seconds: float):
    flags = {"actuate.reconcile_s": text} if seconds <= 3600 else {"optimize.cycle_s": text}
    settings = load(flags=flags)
    assert (settings.actuate.reconcile_s if seconds <= 3600 else settings.optimize.cycle_s) == seconds


def test_durations_with_a_unit_may_stand_in_the_file(config: Path):
    config.write_text("[optimize]\nsilent_s = '20m'\n")
    assert load(config).optimize.silent_s == 1200


def test_every_problem_of_every_source_is_told_at_once(config: Path):
    config.write_text(
        "[kafka]\nbootstrap_servers = 'broker'\npasword = 'x'\n[ingst]\nlateness_s = 1\n[web]\nport = 70000\n"
    )
    env = {"LLM_OPTIMIZER__WEB__PORTS": "1", "MODE": "cluster"}
    found = [line.replace(str(config), "optimizer.toml") for line in problems(config, env, {"log.level": "loud"})]
    assert found == snapshot(
        [
            "optimizer.toml: [kafka] pasword: there is no setting kafka.pasword; did you mean 'password'?",
            "optimizer.toml: [ingst]: there is no section 'ingst'; did you mean 'ingest'?; sections: kafka, state, web, api, ingest, optimize, actuate, codec, gateway, platform, topics, telemetry, log, deployment",
            "environment variable LLM_OPTIMIZER__WEB__PORTS: there is no setting web.ports; did you mean 'port'?",
            "optimizer.toml: [kafka] bootstrap_servers: kafka.bootstrap_servers is 'broker'; must be text like '127.0.0.1:9092' or 'broker-1:9092,broker-2:9092'",
            "optimizer.toml: [web] port: web.port is 70000; must be a whole number of at least 0 and at most 65,535",
            "environment variable MODE: deployment.profile is 'cluster'; must be one of daemon, sidecar, standalone",
            "flag log.level: log.level is 'loud'; must be one of DEBUG, ERROR, INFO, WARNING",
        ]
    )


def test_the_file_is_read_strictly_but_the_environment_by_the_fields_type(config: Path):
    config.write_text("[web]\nport = '8080'\n")
    assert "[web] port: web.port is '8080'" in problems(config)[0]
    assert load(env={"LLM_OPTIMIZER__WEB__PORT": "8080"}).web.port == 8080
    assert load(env={"LLM_OPTIMIZER__KAFKA__MOCK": "true"}).kafka.mock is True


def test_a_setting_in_the_wrong_section_is_sent_to_the_right_one():
    assert "did you mean ingest.lateness_s?" in problems(flags={"kafka.lateness_s": "3"})[0]


def test_a_section_that_is_no_table_is_a_problem(config: Path):
    config.write_text("web = 8080\n")
    assert problems(config)[0].endswith("web: is 8080; must be a table [web]")


def test_an_unknown_section_without_fields_is_a_problem_too(config: Path):
    config.write_text("[wep]\n")
    assert "did you mean 'web'?" in problems(config)[0]


def test_a_missing_file_is_blamed_on_who_named_it():
    assert problems(Path("/nowhere/x.toml")) == [
        "flag --config: cannot read /nowhere/x.toml: No such file or directory"
    ]
    named = problems(env={"LLM_OPTIMIZER_CONFIG": "/nowhere/x.toml"})[0]
    assert named.startswith("environment variable LLM_OPTIMIZER_CONFIG: cannot read /nowhere/x.toml")


@pytest.mark.parametrize("content", [b"[web\n", b"\xff\xfe[web]"])
def test_a_file_that_is_no_toml_is_named(config: Path, content: bytes):
    config.write_bytes(content)
    assert problems(config)[0].startswith(f"{config}: not TOML: ")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            {"ingest.lateness_s": "10"},
            "flag ingest.lateness_s: ingest.ahead_s is 30; must be at most ingest.lateness_s",
        ),
        ({"ingest.ahead_s": "31"}, "flag ingest.ahead_s: ingest.ahead_s is 31; must be at most ingest.lateness_s"),
        ({"kafka.heartbeat_s": "4"}, "must be at most a third of kafka.session_timeout_s"),
        ({"kafka.session_timeout_s": "40", "ingest.idle_s": "40", "kafka.heartbeat_s": "3"}, "kafka.request_timeout_s"),
        ({"ingest.idle_s": "9"}, "must be at least kafka.session_timeout_s"),
        ({"kafka.password": "hush"}, "must be set together with kafka.username"),
        ({"kafka.security_protocol": "sasl_ssl"}, "kafka.username is ''; must be set"),
        ({"kafka.ssl_keyfile": "k.pem"}, "must be set together with kafka.ssl_certfile"),
        ({"gateway.kind": "orchestrator"}, "gateway.url is ''; must be set"),
        ({"kafka.max_request_bytes": "2000"}, "must be at least kafka.max_batch_bytes"),
    ],
)
def test_rules_between_settings_name_both_and_the_reason(flags: dict[str, str], told: str):
    assert told in problems(flags=flags)[0]


def test_a_secret_never_stands_in_an_error_or_a_representation():
    settings = load(flags={"kafka.username": "me", "kafka.password": "hush", "gateway.token": "token-1"})
    assert "hush" not in repr(settings)
    assert "token-1" not in repr(settings)
    assert "hush" not in str(problems(flags={"kafka.password": "hush"}))
    assert "x" * 50 not in str(problems(flags={"kafka.password": "x" * 5000}))


@pytest.mark.parametrize(
    ("given_flags", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"kafka.ssl_cafile": "ca.pem"}, "SSL"),
        ({"kafka.username": "me", "kafka.password": "hush"}, "SASL_SSL"),
        (
            {"kafka.username": "me", "kafka.password": "hush", "kafka.security_protocol": "sasl_plaintext"},
            "SASL_PLAINTEXT",
        ),
    ],
)
def test_a_password_goes_over_an_open_connection_only_when_asked_for(given_flags: dict[str, str], protocol: str):
    assert load(flags=given_flags).kafka.protocol == protocol


@given(
    st.dictionaries(st.sampled_from([".".join(path) for path in FIELDS]) | st.text(max_size=20), st.text(max_size=20))
)
def test_whatever_is_given_either_loads_or_is_a_settings_error(flags: dict[str, str]):
    try:
        assert isinstance(load(flags=flags), Settings)
    except SettingsError as error:
        assert error.problems
