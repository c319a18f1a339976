"""``docs/configuration.md`` names every key with its default, and nothing else; its examples are valid."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from opsagent.ports import Terminal
from opsagent.settings import Settings, keys, load

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def default_of(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "must be given"
    plain = json.loads(json.dumps(field.default, default=str))
    return "" if plain in (None, []) else f"`{json.dumps(plain)}`"


def row(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | {default_of(field)} | {field.description} |"


def test_every_key_has_its_row_with_default_and_meaning() -> None:
    expected = [row(key, field) for key, field in keys()]
    found = re.findall(r"^\| `.*\|$", PAGE.read_text(), re.MULTILINE)
    assert found == expected, "the rows should be:\n" + "\n".join(expected)


def test_every_key_says_what_it_means_to_the_schema_too() -> None:
    silent = [key for key, field in keys() if not field.description]
    assert not silent


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_are_valid(tmp_path: Path) -> None:
    assert len(examples()) >= 2
    for number, text in enumerate(examples()):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        load(path)


def test_the_schema_knows_what_the_model_knows() -> None:
    schema = Settings.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Settings.model_fields)


FAULTS: dict[str, tuple[str, str]] = {
    "an unknown key": ("polcy: {}\n", "polcy: unknown key; did you mean policy?"),
    "an unknown key in a section": (
        "kubernetes: {namespces: [shop]}\n",
        "kubernetes.namespces: unknown key; did you mean kubernetes.namespaces?",
    ),
    "an unknown key like no other": ("zzzzzzzz: 1\n", "zzzzzzzz: unknown key"),
    "a key that stands twice": ("policy: {}\npolicy: {}\n", "the key policy stands twice"),
    "a bad value": ("retention_days: 0\n", "retention_days: Input should be greater than"),
    "a bad choice": ("policy: {level: yolo}\n", "policy.level: Input should be 'observe', "),
    "no mapping": ("- policy\n", "(whole file): must hold keys and values"),
    "a section without keys": ("policy: tight\n", "policy: must hold keys and values"),
    "no YAML": ("{", "is not valid YAML"),
    "no text": ("\x00", "is not valid YAML"),
    "approval without hands": (
        "policy: {level: approve}\n",
        "policy.level is approve, but there is no executor section",
    ),
}


@pytest.mark.parametrize("case", sorted(FAULTS))
def test_a_fault_is_named_with_its_place(case: str, tmp_path: Path) -> None:
    text, message = FAULTS[case]
    path = tmp_path / "opsagent.yaml"
    path.write_text(text)
    with pytest.raises(Terminal, match=re.escape(message)) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("polcy: {}\napi: {port: 99999}\n")
    with pytest.raises(Terminal, match=r"2 fault\(s\)\n.*api\.port.*\n.*polcy"):
        load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match=r"cannot read .*nowhere\.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_an_empty_file_means_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    path.write_text("")
    assert load(path) == Settings(state_dir=tmp_path / "state")


def test_relative_paths_start_at_the_file_s_folder(tmp_path: Path) -> None:
    path = tmp_path / "opsagent.yaml"
    content: dict[str, Any] = {
        "state_dir": "data",
        "kubernetes": {"kubeconfig": "reader"},
        "executor": {"kubeconfig": "/etc/hands"},
        "webhook": {"url": "https://hooks.example", "secret_file": "secret"},
    }
    path.write_text(yaml.safe_dump(content))
    found = load(path)
    assert found.executor is not None
    assert found.webhook is not None
    places = (
        found.state_dir,
        found.kubernetes.kubeconfig,
        found.executor.kubeconfig,
        found.webhook.secret_file,
    )
    assert places == (
        tmp_path / "data",
        tmp_path / "reader",
        Path("/etc/hands"),
        tmp_path / "secret",
    )
