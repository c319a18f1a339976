"""The API's front door: who is let in, what is refused in which words, what is kept of it."""

import json

import pytest

from opsagent.ports import KubeAnswer
from opsagent.sim import (
    ADMIN,
    ALICE,
    BOB,
    EXECUTOR,
    OPSAGENT,
    AuditEntry,
    Fault,
    Request,
    Rule,
    fault_patch,
)
from tests.edge.sim.hand import (
    APPS,
    CORE,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NODES,
    PODS,
    REPLICA_SETS,
    WEB,
    Hand,
)
from tests.fakes.virtual_time import EPOCH

LEASE = {"kind": "Lease", "metadata": {"name": "opsagent"}, "spec": {"holderIdentity": "a"}}
MERGE = "application/merge-patch+json"


def test_nobody_known_is_unauthorized() -> None:
    hand = Hand()
    hand.token = "forged"
    status, refusal = hand.send("GET", WEB)
    assert (status, refusal["reason"]) == (401, "Unauthorized")
    assert hand.send("GET", "/readyz") == (200, "ok")


def test_a_revoked_token_is_nobodys() -> None:
    hand = Hand(user=ALICE)
    assert hand.send("GET", WEB)[0] == 200
    hand.cluster.access.revoke(ALICE)
    assert hand.send("GET", WEB)[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "item", "content_type", "code"),
    [
        ("GET", "/apis/apps/v1/controllerrevisions", None, "", 404),
        ("POST", WEB, LEASE, "", 405),
        ("PUT", DEPLOYMENTS, {}, "", 405),
        ("DELETE", DEPLOYMENTS, None, "", 405),
        ("GET", "/apis/authentication.k8s.io/v1/tokenreviews", None, "", 405),
        ("PUT", WEB, b"{", "", 400),
        ("PUT", WEB, [], "", 400),
        ("PUT", WEB, LEASE, "", 400),
        ("PUT", WEB, {"metadata": {"name": "other"}}, "", 400),
        ("PATCH", WEB, {"metadata": None}, MERGE, 400),
        ("PATCH", WEB, {"spec": {}}, "text/plain", 415),
        ("POST", LEASES.replace("opsagent", "nowhere"), LEASE, "", 404),
        ("POST", DEPLOYMENTS, {"metadata": {"name": "x"}}, "", 422),
    ],
)
def test_requests_that_are_refused(
    method: str, path: str, item: object, content_type: str, code: int
) -> None:
    status, refusal = Hand().send(method, path, item, content_type or "application/json")
    assert (status, refusal["kind"], refusal["code"]) == (code, "Status", code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "many"}, 400),
        ({"limit": "1", "continue": "!"}, 400),
        ({"resourceVersion": "999999"}, 504),
    ],
)
def test_lists_that_are_refused(query: dict[str, str], code: int) -> None:
    assert Hand().send("GET", DEPLOYMENTS, **query)[0] == code


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"replicas": -1}, "spec.replicas"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.selector"),
        ({"selector": {"matchLabels": None}}, "spec.selector"),
        ({"strategy": {"type": "Recreate"}}, "spec.strategy.type"),
        ({"template": {"spec": {"containers": []}}}, "spec.template.spec.containers"),
        ({"template": {"metadata": {"labels": {"app": "x"}}}}, "spec.template.metadata.labels"),
        (
            {"template": {"spec": {"containers": [{"name": "a", "image": ""}]}}},
            "spec.template.spec.containers[0].image",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "a", "image": "i"}] * 2}}},
            "spec.template.spec.containers",
        ),
        (
            {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": "a", "image": "i", "resources": {"limits": {"cpu": "much"}}}
                        ]
                    }
                }
            },
            "spec.template.spec.containers[0].resources.limits[cpu]",
        ),
    ],
)
def test_an_invalid_deployment_is_refused_with_its_fields(
    spec: dict[str, object], field: str
) -> None:
    status, refusal = Hand().send("PATCH", WEB, {"spec": spec}, MERGE)
    assert (status, refusal["reason"]) == (422, "Invalid")
    assert field in {cause["field"] for cause in refusal["details"]["causes"]}


def test_an_unknown_dry_run_mode_is_refused_and_writes_nothing() -> None:
    hand = Hand()
    before = hand.get(WEB)
    patch = fault_patch(Fault.CRASH_LOOP)
    kind = "application/strategic-merge-patch+json"
    assert hand.send("PATCH", WEB, patch, kind, dryRun="Some")[0] == 422
    assert hand.get(WEB) == before


def test_a_dry_run_of_each_verb_writes_nothing() -> None:
    hand = Hand()
    version = hand.cluster.store.version
    assert hand.send("POST", LEASES, LEASE, dryRun="All")[0] == 201
    assert hand.send("DELETE", WEB, dryRun="All")[0] == 200
    web = hand.get(WEB)
    assert (
        hand.send("PUT", WEB, web | {"spec": web["spec"] | {"replicas": 9}}, dryRun="All")[0] == 200
    )
    assert hand.cluster.store.version == version


def test_status_and_spec_are_written_apart() -> None:
    hand = Hand()
    web = hand.get(WEB)
    both = web | {"spec": web["spec"] | {"replicas": 4}, "status": {"replicas": 99}}
    status, main = hand.send("PUT", WEB, both)
    assert (status, main["spec"]["replicas"], main["status"]) == (200, 4, web["status"])
    both["metadata"] = main["metadata"]
    status, answer = hand.send("PUT", f"{WEB}/status", both | {"spec": web["spec"]})
    assert (status, answer["spec"]["replicas"]) == (200, 4)
    assert answer["status"] == {"replicas": 99}


def test_another_life_of_an_object_is_a_conflict() -> None:
    hand = Hand()
    web = hand.get(WEB)
    web["metadata"] |= {"uid": "another", "resourceVersion": ""}
    status, refusal = hand.send("PUT", WEB, web)
    assert (status, refusal["reason"]) == (409, "Conflict")


def test_a_delete_can_demand_the_life_it_was_meant_for() -> None:
    hand = Hand()
    wrong = {"preconditions": {"uid": "another"}}
    assert hand.send("DELETE", WEB, wrong)[0] == 409
    right = {"preconditions": {"uid": hand.get(WEB)["metadata"]["uid"]}}
    assert hand.send("DELETE", WEB, right)[0] == 200


def test_items_of_a_list_carry_no_kind_of_their_own() -> None:
    found = Hand().get(DEPLOYMENTS)
    assert (found["kind"], found["apiVersion"]) == ("DeploymentList", "apps/v1")
    assert all("kind" not in item for item in found["items"])


def test_the_manager_is_the_clients_name_unless_it_names_another() -> None:
    hand = Hand()
    hand.patch(WEB, {"spec": {"replicas": 2}})
    hand.patch(WEB, {"spec": {"replicas": 4}}, fieldManager="autoscaler")
    names = [entry["manager"] for entry in hand.get(WEB)["metadata"]["managedFields"]]
    assert "autoscaler" in names
    assert "hand" not in names, "its only field has another owner now"


def test_refusals_on_purpose_hit_the_next_requests() -> None:
    hand = Hand()
    hand.cluster.refuse_next(1, 429)
    hand.cluster.refuse_next(1, 500)
    hand.cluster.refuse_next(1, 401)
    answer = hand.raw("GET", WEB)
    assert isinstance(answer, KubeAnswer)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert [hand.send("GET", WEB)[0] for _ in range(3)] == [500, 401, 200]


def test_a_rule_can_be_for_one_name_or_a_group() -> None:
    hand = Hand(user=BOB)
    rules = hand.cluster.access.rules
    patches = frozenset({"patch"})
    named = Rule(
        frozenset({"system:authenticated"}),
        patches,
        frozenset({"deployments.apps"}),
        names=frozenset({"cart"}),
    )
    rules.append(named)
    assert hand.send("PATCH", f"{DEPLOYMENTS}/cart", {}, MERGE)[0] == 200
    status, refusal = hand.send("PATCH", WEB, {}, MERGE)
    assert status == 403
    assert refusal["message"] == (
        'deployments.apps "web" is forbidden: User "bob" cannot patch resource "deployments" '
        'in API group "apps" in the namespace "shop"'
    )


@pytest.mark.parametrize(
    ("user", "method", "path", "is_allowed"),
    [
        (OPSAGENT, "GET", f"{CORE}/events", True),
        (OPSAGENT, "GET", NODES, True),
        (OPSAGENT, "GET", LEASES + "/opsagent", True),
        (OPSAGENT, "PATCH", WEB, False),
        (OPSAGENT, "GET", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/x", False),
        (EXECUTOR, "GET", REPLICA_SETS, True),
        (EXECUTOR, "PATCH", WEB, True),
        (EXECUTOR, "PUT", WEB, False),
        (EXECUTOR, "DELETE", WEB, False),
        (EXECUTOR, "PATCH", f"{APPS}/namespaces/opsagent/deployments/web", False),
        (EXECUTOR, "PATCH", WEB + "/status", False),
        (ALICE, "PATCH", WEB, False),
        (BOB, "GET", PODS, True),
    ],
)
def test_the_shops_identities(user: str, method: str, path: str, is_allowed: bool) -> None:
    hand = Hand(user=user)
    status = hand.send(method, path, {} if method != "GET" else None, MERGE)[0]
    assert (status != 403) is is_allowed


def review(
    hand: Hand, spec: dict[str, object], kind: str = "subjectaccessreviews"
) -> dict[str, object]:
    group = "authorization" if kind == "subjectaccessreviews" else "authentication"
    path = f"/apis/{group}.k8s.io/v1/{kind}"
    status: dict[str, object] = hand.create(path, {"spec": spec})["status"]
    return status


def test_a_review_speaks_of_subresources_and_groups() -> None:
    hand = Hand(user=EXECUTOR)
    log = {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "shop"}
    assert review(hand, {"user": OPSAGENT, "resourceAttributes": log})["allowed"] is True
    assert review(hand, {"user": EXECUTOR, "resourceAttributes": log})["allowed"] is False
    approve = {
        "verb": "approve",
        "resource": "actionrequests",
        "group": "opsagent.io",
        "namespace": "shop",
    }
    assert review(hand, {"user": ALICE, "resourceAttributes": approve})["allowed"] is True
    assert review(hand, {"user": BOB, "resourceAttributes": approve})["allowed"] is False
    elsewhere = approve | {"namespace": "opsagent"}
    assert review(hand, {"user": ALICE, "resourceAttributes": elsewhere})["allowed"] is False


def test_a_token_for_another_audience_is_not_valid() -> None:
    hand = Hand(user=EXECUTOR)
    token = hand.cluster.access.token(ALICE, ["people"])
    spec = {"token": token, "audiences": ["https://elsewhere"]}
    assert "error" in review(hand, spec, "tokenreviews")
    status = review(hand, {"token": token}, "tokenreviews")
    assert status["user"]["username"] == ALICE  # type: ignore[index]


def test_a_service_account_has_its_groups() -> None:
    hand = Hand()
    identity = hand.cluster.access.identify(hand.cluster.access.token(OPSAGENT))
    assert identity is not None
    assert identity.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:opsagent",
        "system:authenticated",
    )


def test_the_audit_log_keeps_writes_and_reviews_with_their_outcome() -> None:
    hand = Hand()
    cluster = hand.cluster
    hand.get(WEB)
    Hand(cluster, OPSAGENT).send("POST", LEASES, LEASE)
    Hand(cluster, OPSAGENT).send("PATCH", WEB, {}, MERGE)
    Hand(cluster, EXECUTOR).send("PATCH", WEB, {}, MERGE, dryRun="All")
    review(Hand(cluster, EXECUTOR), {"user": ALICE})
    anonymous = Request("DELETE", WEB)
    cluster.handle(anonymous, cluster.now)
    deployments, leases = "deployments.apps", "leases.coordination.k8s.io"
    assert cluster.audit == [
        AuditEntry(EPOCH, OPSAGENT, "create", leases, "opsagent", "opsagent", False, 201),
        AuditEntry(EPOCH, OPSAGENT, "patch", deployments, "shop", "web", False, 403),
        AuditEntry(EPOCH, EXECUTOR, "patch", deployments, "shop", "web", True, 200),
        AuditEntry(
            EPOCH,
            EXECUTOR,
            "create",
            "subjectaccessreviews.authorization.k8s.io",
            "",
            "",
            False,
            201,
        ),
        AuditEntry(EPOCH, "", "delete", deployments, "shop", "web", False, 401),
    ]


def test_the_cluster_answers_from_the_present_and_time_never_goes_back() -> None:
    hand = Hand()
    hand.wait(10)
    now = hand.cluster.now
    request = Request("GET", WEB, token=hand.token)
    answer = hand.cluster.handle(request, EPOCH)
    assert isinstance(answer, KubeAnswer)
    assert json.loads(answer.body)["metadata"]["name"] == "web"
    assert hand.cluster.now == now


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    hand = Hand(user=ADMIN)
    assert hand.send("DELETE", f"{CORE}/namespaces/shop")[0] == 200
    hand.wait(60)
    for path in (DEPLOYMENTS, REPLICA_SETS, PODS, EVENTS):
        assert hand.items(path) == []
