"""What counts as a change of a Deployment, who made it and when."""

from dataclasses import replace

import pytest

from opsagent.model.kube import Container, EnvVar, FieldManager, Probe
from opsagent.model.signal import Change, ChangeType
from opsagent.signals.change import TEXT_LENGTH_MAX, changes
from tests.fakes.objects import WEB, after, containers, deployment, meta, written

POINTER = "raw:9"
READY = (
    "handler=httpGet port=8080 initialDelaySeconds=0 periodSeconds=10 timeoutSeconds=1 "
    "failureThreshold=3 successThreshold=1"
)
BASE = deployment(
    containers=(
        Container(
            "web",
            "shop/web:v1",
            env=(EnvVar("MODE", "hmac:0000000000000001"), EnvVar("GONE", "hmac:0000000000000002")),
            requests={"cpu": "100m"},
            limits={"memory": "128Mi"},
        ),
        Container("sidecar", "proxy:1"),
    )
)


def template(*items: Container) -> tuple[Change, ...]:
    """Return the changes after a write of other containers."""
    new = written(BASE, "kubectl-set", after(10), containers=items, template_digest="other")
    return changes(BASE, new, after(12), POINTER)


def fields(found: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    """Return path, old and new of each change."""
    return [(each.path.removeprefix("spec.template.spec."), each.old, each.new) for each in found]


def test_a_new_image_is_a_rollout_with_writer_time_and_pointer() -> None:
    web, sidecar = BASE.containers
    (change,) = template(replace(web, image="shop/web:v2"), sidecar)
    assert change.type is ChangeType.ROLLOUT
    assert change.entity == WEB
    assert change.path == "spec.template.spec.containers[web].image"
    assert (change.old, change.new) == ("shop/web:v1", "shop/web:v2")
    assert (change.manager, change.at) == ("kubectl-set", after(10))
    assert (change.revision, change.pointer) == (1, POINTER)


def test_every_decoded_field_of_a_container_is_told_by_name() -> None:
    web, sidecar = BASE.containers
    env = (EnvVar("MODE", "hmac:0000000000000009"), EnvVar("NEW", source="configMapKeyRef:c/k"))
    changed = replace(
        web,
        env=env,
        requests={"cpu": "200m"},
        limits={"memory": "64Mi", "cpu": "1"},
        readiness_probe=Probe("httpGet", "8080"),
    )
    assert fields(template(changed, sidecar)) == [
        ("containers[web].env[MODE]", "hmac:0000000000000001", "hmac:0000000000000009"),
        ("containers[web].env[NEW]", "", "configMapKeyRef:c/k"),
        ("containers[web].env[GONE]", "hmac:0000000000000002", ""),
        ("containers[web].resources.requests[cpu]", "100m", "200m"),
        ("containers[web].resources.limits[cpu]", "", "1"),
        ("containers[web].resources.limits[memory]", "128Mi", "64Mi"),
        ("containers[web].readinessProbe", "", READY),
    ]


def test_containers_that_come_and_go_are_told_with_their_images() -> None:
    web, _ = BASE.containers
    assert fields(template(web, Container("agent", "agent:7"))) == [
        ("containers[agent]", "", "agent:7"),
        ("containers[sidecar]", "proxy:1", ""),
    ]


def test_a_template_that_differs_only_where_nothing_is_decoded_still_is_a_rollout() -> None:
    (change,) = template(*BASE.containers)
    assert (change.type, change.path) == (ChangeType.ROLLOUT, "spec.template")
    assert (change.old, change.new) == (BASE.template_digest, "other")


def test_the_order_of_containers_is_no_change_if_the_template_is_the_same() -> None:
    new = written(BASE, "x", after(1), containers=tuple(reversed(BASE.containers)))
    assert changes(BASE, new, after(2), POINTER) == ()


def test_replicas_are_a_scale() -> None:
    new = written(BASE, "kubectl", after(5), replicas_desired=5)
    (change,) = changes(BASE, new, after(6), POINTER)
    assert (change.type, change.path, change.old, change.new) == (
        ChangeType.SCALE,
        "spec.replicas",
        "3",
        "5",
    )


def test_one_write_of_template_and_replicas_gives_both_template_first() -> None:
    new = written(BASE, "helm", after(5), replicas_desired=5, containers=containers("shop/web:v2"))
    found = changes(BASE, new, after(6), POINTER)
    assert [each.type for each in found][-1] is ChangeType.SCALE
    assert len({each.change_id for each in found}) == len(found)


def test_status_is_never_a_change() -> None:
    sick = replace(BASE, replicas_available=0, conditions=(), observed_generation=9)
    assert changes(BASE, sick, after(1), POINTER) == ()


def test_birth_end_and_another_life_of_the_same_name() -> None:
    reborn = deployment(meta=meta("web", uid="uid-other", created_at=after(50)))
    (created,) = changes(None, BASE, after(1), POINTER)
    (deleted,) = changes(BASE, None, after(2), POINTER)
    assert (created.type, created.at, created.new) == (
        ChangeType.CREATED,
        BASE.meta.created_at,
        "shop/web:v1, proxy:1",
    )
    assert (deleted.type, deleted.at, deleted.old) == (
        ChangeType.DELETED,
        after(2),
        "shop/web:v1, proxy:1",
    )
    assert [each.type for each in changes(BASE, reborn, after(60), POINTER)] == [
        ChangeType.DELETED,
        ChangeType.CREATED,
    ]
    assert changes(None, None, after(1), POINTER) == ()


def test_a_birth_without_a_date_is_dated_when_it_was_seen() -> None:
    (created,) = changes(None, deployment(meta=meta("web", created_at=None)), after(3), POINTER)
    assert created.at == after(3)


@pytest.mark.parametrize(
    ("managers", "manager", "seconds"),
    [
        ((), "", 100),
        ((FieldManager("kubectl", "Update", None),), "kubectl", 100),
        ((FieldManager("kubectl", "Update", after(40)),), "kubectl", 40),
        (
            (
                FieldManager("kubectl", "Update", after(40)),
                FieldManager("kube-controller-manager", "Update", after(90), "status"),
            ),
            "kubectl",
            40,
        ),
        (
            (
                FieldManager("helm", "Apply", after(60)),
                FieldManager("kubectl", "Update", after(40)),
            ),
            "helm",
            60,
        ),
        (
            (
                FieldManager("helm", "Apply", after(40)),
                FieldManager("kubectl", "Update", after(40)),
            ),
            "kubectl",
            40,
        ),
        ((FieldManager("skewed", "Update", after(500)),), "skewed", 100),
        ((FieldManager("stale", "Update", after(5)),), "stale", 100),
        ((FieldManager("hpa", "Update", after(70), "scale"),), "hpa", 70),
    ],
    ids=[
        "unknown",
        "undated",
        "told",
        "status is not the spec",
        "latest wins",
        "later entry wins a tie",
        "future: when seen",
        "before the write it replaced: when seen",
        "scale is the spec",
    ],
)
def test_writer_and_time_come_from_managed_fields_where_they_are_believable(
    managers: tuple[FieldManager, ...], manager: str, seconds: float
) -> None:
    old = replace(
        BASE, meta=replace(BASE.meta, managers=(FieldManager("first", "Update", after(10)),))
    )
    new = replace(old, replicas_desired=4, meta=replace(old.meta, managers=managers))
    (change,) = changes(old, new, after(100), POINTER)
    assert (change.manager, change.at) == (manager, after(seconds))


def test_the_same_write_seen_twice_is_one_change_and_the_next_is_another() -> None:
    v2 = written(BASE, "a", after(1), containers=containers("shop/web:v2"))
    v1 = written(v2, "a", after(2), containers=BASE.containers)
    again = written(v1, "a", after(3), containers=containers("shop/web:v2"))
    first = changes(BASE, v2, after(1), POINTER)
    assert first[0].change_id == changes(BASE, v2, after(9), "raw:10")[0].change_id
    ids = {first[0].change_id, changes(v1, again, after(3), POINTER)[0].change_id}
    assert len(ids) == 2


def test_values_are_short() -> None:
    new = written(BASE, "a", after(1), containers=containers("x" * 999))
    assert max(len(each.new) for each in changes(BASE, new, after(1), POINTER)) == TEXT_LENGTH_MAX
