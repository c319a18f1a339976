"""The configuration: what is not understood refuses to start, what is left out is the tight choice, paths start at the file."""

import os
from pathlib import Path

import pytest

from opsagent.guard.policy import Level, VerifyBounds
from opsagent.model.plan import ActionType
from opsagent.ports import Terminal
from opsagent.settings import PolicySettings, Settings, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opsagent.yaml"


def faults(file: Path, text: str | bytes) -> str:
    """Write the file, load it in vain and return what is said."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Terminal) as caught:
        load(file)
    return str(caught.value)


def test_an_empty_file_only_suggests_and_speaks_to_nobody(file: Path) -> None:
    file.write_text("")
    settings = load(file)
    assert settings.policy.level is Level.SUGGEST
    assert settings.policy.namespaces == ()
    assert (settings.executor, settings.webhook, settings.model) == (None, None, None)
    assert settings.api.host == "127.0.0.1"


def test_relative_paths_start_at_the_files_folder_and_absolute_ones_stay(
    file: Path, tmp_path: Path
) -> None:
    file.write_text("""
state_dir: state
kubernetes: {kubeconfig: daemon.kubeconfig}
executor: {kubeconfig: /etc/executor.kubeconfig}
webhook: {url: "https://hooks.example/x", secret_file: secret}
model: {url: "http://model:8000/v1", name: kimi, api_key_file: key}
""")
    settings = load(Path(os.path.relpath(file)))
    assert settings.executor is not None
    assert settings.webhook is not None
    assert settings.model is not None
    assert settings.state_dir == tmp_path / "state"
    assert settings.kubernetes.kubeconfig == tmp_path / "daemon.kubeconfig"
    assert settings.executor.kubeconfig == Path("/etc/executor.kubeconfig")
    assert settings.webhook.secret_file == tmp_path / "secret"
    assert settings.model.api_key_file == tmp_path / "key"


def test_a_path_that_is_left_out_stays_out(file: Path) -> None:
    file.write_text('executor: {}\nmodel: {url: "http://model/v1", name: kimi}\n')
    settings = load(file)
    assert settings.executor is not None
    assert settings.model is not None
    assert settings.kubernetes.kubeconfig is None
    assert settings.executor.kubeconfig is None
    assert settings.model.api_key_file is None


@pytest.mark.parametrize(
    "text",
    [
        "metrics: {url: http://p}\npolicy: {verify_window_seconds: 90}",
        "metrics: {url: 'http://127.0.0.1:9090', token_file: t}",
        "metrics: {url: 'http://[::1]:9090', token_file: t}",
        "metrics: {url: http://localhost, token_file: t}",
        "metrics: {url: https://p/prometheus, token_file: t, ca_file: c}",
    ],
)
def test_telemetry_that_is_good(text: str, file: Path, tmp_path: Path) -> None:
    file.write_text(text + "\nalertmanager: {token_file: a}")
    settings = load(file)
    assert settings.alertmanager is not None
    assert settings.alertmanager.token_file == tmp_path / "a"
    assert settings.metrics is not None
    assert settings.metrics.token_file in {None, tmp_path / "t"}


FAULTS = {
    "state_dri: x": "state_dri: unknown key; did you mean state_dir?",
    "policy: {levle: suggest}": "policy.levle: unknown key; did you mean policy.level?",
    "zzz: 1": "zzz: unknown key",
    "policy: {level: approve}": "policy.level is approve, but there is no executor section to act",
    "policy: {level: sometimes}": "policy.level: Input should be 'observe'",
    "policy: {approval_ttl_seconds: 0}": "policy.approval_ttl_seconds: ",
    "policy: {approval_ttl_seconds: 3601}": "policy.approval_ttl_seconds: ",
    "policy: []": "policy: must hold keys and values",
    "- a list": "(whole file): must hold keys and values",
    "retention_days: 91": "retention_days: ",
    "logs: {streams_max: -1}": "logs.streams_max: ",
    "logs: {streams_max: 2001}": "logs.streams_max: ",
    "logs: {retention_days: 0}": "logs.retention_days: ",
    "logs: {retention_bytes_max: 1000}": "logs.retention_bytes_max: ",
    "api: {host: 0.0.0.0}": "api.host: ",
    "api: {port: 65536}": "api.port: ",
    "log_format: xml": "log_format: ",
    "webhook: {url: ftp://x, secret_file: s}": "webhook.url: ",
    "webhook: {url: https://x}": "webhook.secret_file: Field required",
    "model: {url: https://x/v1, name: ''}": "model.name: ",
    "model: {url: https://x/v1, name: k, turn_tokens_max: 1}": "model.turn_tokens_max: ",
    "metrics: {url: prometheus:9090}": "metrics.url: ",
    "metrics: {url: 'https://'}": "metrics.url: ",
    "metrics: {url: http://p, token_file: t}": "metrics: Value error, a token over plain http",
    "metrics: {url: http://localhost.evil, token_file: t}": "a token over plain http",
    "metrics: {url: http://p, scrape_seconds: 0}": "metrics.scrape_seconds: ",
    "metrics: {url: http://p}\npolicy: {verify_window_seconds: 89}": "policy.verify_window_seconds is shorter",
    "alertmanager: {}": "alertmanager.token_file: Field required",
    "cluster: a\ncluster: b": "the key cluster stands twice",
    "policy: {level: suggest, level: observe}": "the key level stands twice",
    "cluster: [": "is not valid YAML",
    "cluster: 2026-13-45": "is not valid YAML: month must be in 1..12",
    "? [a]\n: b": "is not valid YAML",
    "!!python/object/apply:os.system ['true']": "is not valid YAML",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_refuses_to_start_and_names_the_key(text: str, file: Path) -> None:
    said = faults(file, text)
    assert FAULTS[text] in said
    assert str(file) in said


def test_all_faults_are_told_at_once_one_a_line(file: Path) -> None:
    said = faults(file, "cluster: []\nretention_days: 0\napi: {port: -1}\n")
    assert f"{file}: 3 fault(s)" in said
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == [
        "cluster",
        "retention_days",
        "api.port",
    ]


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    assert "is not valid YAML" in faults(file, b"cluster: \xff")
    assert "is not valid YAML" in faults(file, b"cluster: \x00")


def test_a_file_that_is_not_there_or_a_folder_is_named(file: Path) -> None:
    with pytest.raises(Terminal, match=r"cannot read .*opsagent\.yaml: No such file"):
        load(file)
    file.mkdir()
    with pytest.raises(Terminal, match=r"cannot read .*opsagent\.yaml: Is a directory"):
        load(file)


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().cluster = "other"


def test_the_policy_is_the_catalogue_where_the_file_says_and_protects_its_own_namespace() -> None:
    written = PolicySettings(
        level=Level.APPROVE,
        namespaces=("shop",),
        protected_namespaces=("vault",),
        approval_ttl_seconds=60,
        is_frozen=True,
    )
    policy = written.policy("opsagent")
    assert policy.actions == tuple(ActionType)
    assert policy.namespaces == ("shop",)
    assert policy.protected_namespaces == ("vault",)
    assert policy.own_namespace == "opsagent"
    assert policy.approval_ttl_seconds == 60
    assert policy.is_frozen


@pytest.mark.parametrize("seconds", [10, 3600])
def test_a_window_of_ones_own_widens_the_bounds_and_never_narrows_them(seconds: int) -> None:
    tight = VerifyBounds()
    bounds = PolicySettings(verify_window_seconds=seconds).policy("opsagent").verify
    assert bounds.window_seconds_min == min(seconds, tight.window_seconds_min)
    assert bounds.window_seconds_max == max(seconds, tight.window_seconds_max)
    assert PolicySettings().policy("opsagent").verify == tight


def test_the_bounds_of_an_investigation_are_those_of_the_file(file: Path) -> None:
    file.write_text("""
model:
  url: http://model/v1
  name: kimi
  steps_max: 3
  input_tokens_max: 10000
  output_tokens_max: 1000
  turn_tokens_max: 256
  seconds_max: 30
  call_seconds_max: 20
""")
    model = load(file).model
    assert model is not None
    budget = model.budget()
    assert (budget.steps_max, budget.input_tokens_max, budget.output_tokens_max) == (3, 10000, 1000)
    assert (budget.turn_tokens_max, budget.seconds_max, budget.call_seconds_max) == (256, 30, 20)
