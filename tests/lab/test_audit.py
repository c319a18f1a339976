"""What counts as a write by one of us."""

import json
from pathlib import Path

from tests.lab.audit import entries, service_account, writes

EXECUTOR = service_account("opsagent", "opsagent-executor")
DEPLOYMENT = {"apiGroup": "apps", "resource": "deployments", "namespace": "shop", "name": "web"}


def logged(
    *, user: str = EXECUTOR, verb: str = "patch", query: str = "", **about: object
) -> dict[str, object]:
    return {
        "requestURI": f"/apis/apps/v1/namespaces/shop/deployments/web{query}",
        "verb": verb,
        "user": {"username": user},
        "objectRef": about or DEPLOYMENT,
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-05T10:00:00.000000Z",
    }


def log_of(tmp_path: Path, *events: dict[str, object]) -> Path:
    path = tmp_path / "audit.log"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_a_patch_is_a_write_and_names_its_object(tmp_path: Path):
    log = log_of(tmp_path, logged(query="?fieldManager=opsagent-executor"))
    (entry,) = writes(log, {EXECUTOR})
    assert (entry.verb, entry.group, entry.resource) == ("patch", "apps", "deployments")
    assert (entry.namespace, entry.name, entry.status) == ("shop", "web", 200)
    assert entry.at.isoformat() == "2026-01-05T10:00:00+00:00"


def test_a_dry_run_is_none(tmp_path: Path):
    log = log_of(tmp_path, logged(query="?dryRun=All&fieldManager=x"))
    assert writes(log, {EXECUTOR}) == ()
    assert [entry.is_dry_run for entry in entries(log)] == [True]


def test_a_review_is_none(tmp_path: Path):
    reviews = (
        {"apiGroup": "authentication.k8s.io", "resource": "tokenreviews"},
        {"apiGroup": "authorization.k8s.io", "resource": "subjectaccessreviews"},
    )
    log = log_of(tmp_path, *(logged(verb="create", **review) for review in reviews))
    assert writes(log, {EXECUTOR}) == ()


def test_others_do_not_count(tmp_path: Path):
    assert writes(log_of(tmp_path, logged(user="admin")), {EXECUTOR}) == ()


def test_a_refused_write_counts_with_its_status(tmp_path: Path):
    refused = logged() | {"responseStatus": {"code": 403}}
    assert [entry.status for entry in writes(log_of(tmp_path, refused), {EXECUTOR})] == [403]


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path):
    log = log_of(tmp_path, logged())
    with log.open("a") as handle:
        handle.write('{"requestURI": "/apis')
    assert len(entries(log)) == 1
