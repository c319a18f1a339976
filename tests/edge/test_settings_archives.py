"""The sections of archives: what such an archive does not take is found when the file is read."""

from pathlib import Path

import pytest
import yaml

from opsagent.clients.archive_query import Address, LogFields
from opsagent.clients.log_archive import open_log_archive
from opsagent.clients.loki import FIELDS as LOKI_FIELDS, LokiArchive
from opsagent.clients.victorialogs import VictoriaLogsArchive
from opsagent.ports import Terminal
from opsagent.settings import load
from opsagent.settings_telemetry import LogArchiveSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opsagent.yaml"


def test_without_the_sections_there_are_none(file: Path) -> None:
    file.write_text("")
    settings = load(file)
    assert (settings.log_archive, settings.trace_archive) == (None, None)


def test_paths_start_at_the_file_s_folder(file: Path, tmp_path: Path) -> None:
    file.write_text("""
log_archive: {kind: loki, url: "https://loki/x", tenant: ops|dev, token_file: t, ca_file: /ca}
trace_archive: {url: "https://tempo", token_file: t2}
""")
    settings = load(file)
    assert settings.log_archive is not None
    assert settings.trace_archive is not None
    whole = Address("https://loki/x", "ops|dev", tmp_path / "t", Path("/ca"))
    assert settings.log_archive.address() == whole
    assert settings.trace_archive.address() == Address("https://tempo", "", tmp_path / "t2")


@pytest.mark.parametrize(
    ("text", "fields", "kind"),
    [
        ("kind: loki", LOKI_FIELDS, LokiArchive),
        (
            "kind: victorialogs, tenant: '1:2', pod_field: k8s.pod.name",
            LogFields("kubernetes.pod_namespace", "k8s.pod.name", "kubernetes.container_name"),
            VictoriaLogsArchive,
        ),
        (
            "kind: loki, namespace_field: ns, container_field: c",
            LogFields("ns", "pod", "c"),
            LokiArchive,
        ),
    ],
)
async def test_the_kind_says_which_client_and_which_fields(
    text: str, fields: LogFields, kind: type
) -> None:
    section = LogArchiveSettings.model_validate(
        yaml.safe_load(f"{{url: http://logs:3100, {text}}}")
    )
    assert section.fields() == fields
    client = open_log_archive(section.kind, section.address(), section.fields())
    assert type(client) is kind
    await client.aclose()


FAULTS = {
    "log_archive: {url: http://x}": "log_archive.kind: Field required",
    "log_archive: {kind: loki}": "log_archive.url: Field required",
    "log_archive: {kind: splunk, url: http://x}": "log_archive.kind: Input should be 'loki' or",
    "log_archive: {kind: loki, url: loki}": "log_archive.url: ",
    "log_archive: {kind: loki, url: http://x, token_file: t}": "a token over plain http",
    "log_archive: {kind: loki, url: http://x, tenant: 'a\n  b'}": "log_archive.tenant: ",
    "log_archive: {kind: loki, url: http://x, pod_field: k8s.pod.name}": "no name of a label",
    "log_archive: {kind: loki, url: http://x, pod_field: ''}": "log_archive.pod_field: ",
    "log_archive: {kind: victorialogs, url: http://x, tenant: ops}": "account:project",
    "log_archive: {kind: loki, url: http://x, namespace_feild: a}": "did you mean log_archive.names",
    "trace_archive: {}": "trace_archive.url: Field required",
    "trace_archive: {url: http://x, token_file: t}": "a token over plain http",
    "trace_archive: {url: http://x, tenant: ü}": "trace_archive.tenant: ",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_refuses_to_start(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(Terminal) as caught:
        load(file)
    assert FAULTS[text] in str(caught.value)
