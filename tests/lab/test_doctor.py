"""The rights that the lab grants are the rights that doctor asks for: a real API server agrees."""

import json
from pathlib import Path

import pytest

from opsagent.doctor import Verdict, examine
from opsagent.runtime.clock import SystemClock
from tests.lab.fixture import Lab

pytestmark = pytest.mark.lab
ALICE = "system:serviceaccount:people:alice"
BOB = "system:serviceaccount:people:bob"


def config(folder: Path, lab: Lab, **changes: object) -> Path:
    path = folder / "opsagent.yaml"
    content: dict[str, object] = {
        "state_dir": str(folder / "state"),
        "kubernetes": {"kubeconfig": str(lab.reader)},
        "executor": {"kubeconfig": str(lab.executor)},
        "policy": {"level": "approve", "namespaces": ["shop"]},
    }
    path.write_text(json.dumps(content | changes))  # JSON is YAML
    return path


async def failed(path: Path, *approvers: str) -> dict[str, str]:
    return {
        each.check: each.text
        async for each in examine(path, approvers, SystemClock())
        if each.verdict is Verdict.FAIL or (approvers and "approvers" in each.check and each.advice)
    }


async def test_the_lab_s_identities_have_what_they_need(lab: Lab, tmp_path: Path) -> None:
    assert await failed(config(tmp_path, lab), ALICE) == {}


async def test_what_they_lack_elsewhere_is_named(lab: Lab, tmp_path: Path) -> None:
    policy = {"level": "approve", "namespaces": ["people"]}
    found = await failed(config(tmp_path, lab, policy=policy), BOB)
    assert found["executor: rights to act"] == "may not: patch deployments.apps in people"
    assert BOB in found["executor: approvers"]


async def test_an_administrator_has_too_many_rights(lab: Lab, tmp_path: Path) -> None:
    found = await failed(config(tmp_path, lab, kubernetes={"kubeconfig": str(lab.admin)}))
    assert list(found) == ["daemon: Secrets"]
