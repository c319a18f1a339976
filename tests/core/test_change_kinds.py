"""What people change in objects of every kind is told by field, in the API's words, with who did it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import replace

import pytest

from opsagent.model import kube
from opsagent.model.kube import FieldManager, KubeObject
from opsagent.model.signal import Change, ChangeType
from opsagent.signals.change import CHANGES_MAX, changes
from opsagent.signals.written import FIELDS, NAMES
from tests.fakes.objects import after, deployment, meta

POINTER = "raw:9"
WEB = kube.Container("web", "shop/web:v1")
PORT = kube.ServicePort(80, "http", "http")
BACKEND = kube.IngressBackend("web", "80")
PATH = kube.IngressPath("shop.example", "/api", "Prefix", BACKEND)
TO_DB = kube.PolicyRule((kube.PolicyPeer(kube.LabelSelector({"app": "db"})),))
HOOK = kube.Webhook("a.example", "Ignore", service_name="hook")
CPU = kube.ScalingMetric("Resource", "cpu", "80%")
PROBE = kube.Probe("httpGet", "8080", "HTTP", "/")
SPREAD = kube.TopologySpread("zone", 1, "DoNotSchedule", kube.LabelSelector({"app": "web"}))


def found(old: KubeObject, new: KubeObject) -> list[tuple[str, str, str]]:
    return [(each.path, each.old, each.new) for each in changes(old, new, after(9), POINTER)]


def edited(item: KubeObject, **fields: object) -> list[tuple[str, str, str]]:
    return found(item, replace(item, **fields))  # type: ignore[arg-type] # of any kind


EDITS: Mapping[str, tuple[KubeObject, dict[str, object], list[tuple[str, str, str]]]] = {
    "a Service's selector": (
        kube.Service(meta("s"), selector={"app": "web", "tier": "x"}),
        {"selector": {"app": "wbe", "zone": "a"}},
        [("spec.selector[app]", "web", "wbe"), ("spec.selector[tier]", "x", ""), ("spec.selector[zone]", "", "a")],
    ),
    "a Service's port": (
        kube.Service(meta("s"), ports=(PORT,)),
        {"ports": (replace(PORT, target="9090", protocol="UDP"),)},
        [("spec.ports[http].targetPort", "http", "9090"), ("spec.ports[http].protocol", "TCP", "UDP")],
    ),
    "a nameless port": (
        kube.Service(meta("s"), ports=(kube.ServicePort(80, "80"),)),
        {"ports": (kube.ServicePort(81, "80"),)},
        [("spec.ports[0].port", "80", "81")],
    ),
    "a new port": (
        kube.Service(meta("s")),
        {"ports": (PORT,)},
        [("spec.ports[http]", "", "port=80 targetPort=http protocol=TCP nodePort=0")],
    ),
    "where an Ingress sends": (
        kube.Ingress(meta("i"), paths=(PATH,)),
        {"paths": (replace(PATH, backend=kube.IngressBackend("wbe", "81")),)},
        [
            ("spec.rules[shop.example/api].backend.service.name", "web", "wbe"),
            ("spec.rules[shop.example/api].backend.service.port", "80", "81"),
        ],
    ),
    "a default backend": (
        kube.Ingress(meta("i")),
        {"default_backend": BACKEND},
        [("spec.defaultBackend", "", "name=web port=80")],
    ),
    "keys of a ConfigMap": (
        kube.ConfigMap(meta("c"), {"level": "hmac:1", "old": "hmac:2"}),
        {"digests": {"level": "hmac:3", "new": "hmac:4"}},
        [("data[level]", "hmac:1", "hmac:3"), ("data[new]", "", "hmac:4"), ("data[old]", "hmac:2", "")],
    ),
    "an autoscaler's bounds": (
        kube.HorizontalPodAutoscaler(meta("h"), replicas_max=5, metrics=(CPU,)),
        {"replicas_min": 2, "replicas_max": 3, "metrics": (replace(CPU, target="50%"),)},
        [
            ("spec.minReplicas", "1", "2"),
            ("spec.maxReplicas", "5", "3"),
            ("spec.metrics[Resource/cpu].target", "80%", "50%"),
        ],
    ),
    "a quota": (
        kube.ResourceQuota(meta("q"), {"pods": "10"}),
        {"hard": {"pods": "2"}},
        [("spec.hard[pods]", "10", "2")],
    ),
    "limits": (
        kube.LimitRange(meta("l"), (kube.Limit("Container", {"cpu": "2"}),)),
        {"limits": (kube.Limit("Container", {"cpu": "1"}),)},
        [("spec.limits[Container].max[cpu]", "2", "1")],
    ),
    "a policy": (
        kube.NetworkPolicy(meta("n")),
        {"egress": (TO_DB,), "types": ("Egress",)},
        [("spec.policyTypes", "Ingress", "Egress"), ("spec.egress", "", "peers=podSelector=matchLabels=app=db")],
    ),
    "a budget": (
        kube.PodDisruptionBudget(meta("b"), available_min="1"),
        {"available_min": "", "unavailable_max": "0"},
        [("spec.minAvailable", "1", ""), ("spec.maxUnavailable", "", "0")],
    ),
    "a webhook": (
        kube.ValidatingWebhookConfiguration(meta("v"), (HOOK,)),
        {"webhooks": (replace(HOOK, failure_policy="Fail", service_name="hok"),)},
        [
            ("webhooks[a.example].failurePolicy", "Ignore", "Fail"),
            ("webhooks[a.example].clientConfig.service.name", "hook", "hok"),
        ],
    ),
    "a cordon": (
        kube.Node(meta("n1", namespace="")),
        {"is_unschedulable": True, "taints": (kube.Taint("gpu", "NoSchedule", "yes"),)},
        [("spec.unschedulable", "false", "true"), ("spec.taints[gpu/NoSchedule]", "", "value=yes")],
    ),
    "a CronJob's pause": (
        kube.CronJob(meta("j"), "* * * * *"),
        {"is_suspended": True},
        [("spec.suspend", "false", "true")],
    ),
    "a claim's class": (
        kube.PersistentVolumeClaim(meta("c"), None, requests={"storage": "1Gi"}),
        {"storage_class": "fast", "requests": {"storage": "2Gi"}},
        [("spec.storageClassName", "", "fast"), ("spec.resources.requests[storage]", "1Gi", "2Gi")],
    ),
    "an account's pull secret": (
        kube.ServiceAccount(meta("a"), ("registry",)),
        {"image_pull_secrets": ()},
        [("imagePullSecrets", "registry", "")],
    ),
    "a selector's expression": (
        kube.PodDisruptionBudget(meta("b"), kube.LabelSelector()),
        {"selector": kube.LabelSelector({}, (kube.Requirement("app", "In", ("a", "b")),))},
        [("spec.selector.matchExpressions", "", "app In a|b")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_written_field_is_told_in_the_apis_words(name: str) -> None:
    item, fields, expected = EDITS[name]
    assert edited(item, **fields) == expected
    new = replace(item, **fields)  # type: ignore[arg-type] # of any kind
    assert {each.type for each in changes(item, new, after(9), POINTER)} == {ChangeType.EDIT}


SPECS: Mapping[str, tuple[dict[str, object], list[tuple[str, str, str]]]] = {
    "scheduling": (
        {"node_selector": {"disk": "ssd"}, "node_terms": (kube.NodeTerm((kube.Requirement("zone", "Exists"),)),)},
        [
            ("spec.nodeSelector[disk]", "", "ssd"),
            (
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
                "",
                "matchExpressions=zone Exists",
            ),
        ],
    ),
    "tolerations": (
        {"tolerations": (kube.Toleration("gpu", "Exists", "", "NoSchedule"),)},
        [("spec.tolerations[gpu/NoSchedule]", "", "operator=Exists effect=NoSchedule")],
    ),
    "volumes": (
        {"volumes": (kube.Volume("conf", "configMap", "settings"),), "service_account": "web"},
        [
            ("spec.serviceAccountName", "", "web"),
            ("spec.volumes[conf]", "", "type=configMap source=settings optional=false"),
        ],
    ),
    "two of one name": (
        {"volumes": (kube.Volume("both", "configMap", "a"), kube.Volume("both", "secret", "b"))},
        [("spec.volumes", "", "type=configMap source=a optional=false, type=secret source=b optional=false")],
    ),
    "spread": (
        {"topology_spread": (SPREAD,), "security": kube.Security(user=0)},
        [
            (
                "spec.topologySpreadConstraints[zone]",
                "",
                "maxSkew=1 whenUnsatisfiable=DoNotSchedule labelSelector=matchLabels=app=web minDomains=1",
            ),
            ("spec.securityContext", "", "runAsUser=0"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_a_template_is_told_beyond_its_containers(name: str) -> None:
    fields, expected = SPECS[name]
    spec = replace(kube.UNSAID, **fields)  # type: ignore[arg-type] # of many fields
    old = kube.StatefulSet(meta("db"), containers=(WEB,), template_digest="1")
    new = replace(old, template=kube.PodTemplate(spec=spec), template_digest="2")
    assert found(old, new) == [
        (f"spec.template.{path}", left, right) for path, left, right in expected
    ]
    assert {each.type for each in changes(old, new, after(1), POINTER)} == {ChangeType.ROLLOUT}


def test_a_restart_shows_as_its_annotation() -> None:
    old = kube.DaemonSet(meta("d"), template_digest="1")
    marks = {"kubectl.kubernetes.io/restartedAt": "2026"}
    new = replace(old, template=kube.PodTemplate(annotations=marks), template_digest="2")
    path = "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]"
    assert found(old, new) == [(path, "", "2026")]


def test_a_container_is_told_to_the_last_field() -> None:
    old = kube.CronJob(
        meta("j"), containers=(replace(WEB, liveness_probe=PROBE),), template_digest="1"
    )
    changed = replace(
        WEB,
        liveness_probe=replace(PROBE, port="9", period_seconds=1),
        command=("/bin/wbe",),
        ports=(kube.ContainerPort(8080),),
        env_from=(kube.EnvFrom("configMapRef", "settings"),),
    )
    new = replace(old, containers=(changed,), template_digest="2")
    start = "spec.jobTemplate.spec.template.spec.containers[web]"
    assert found(old, new) == [
        (f"{start}.livenessProbe.port", "8080", "9"),
        (f"{start}.livenessProbe.periodSeconds", "10", "1"),
        (f"{start}.ports[8080]", "", "containerPort=8080 protocol=TCP hostPort=0"),
        (f"{start}.command", "", "/bin/wbe"),
        (f"{start}.envFrom[settings]", "", "source=configMapRef optional=false"),
    ]


def test_what_is_not_told_in_words_still_is_a_rollout() -> None:
    reference = kube.EnvVar("A", source="secretKeyRef:db/password")
    old = kube.StatefulSet(
        meta("db"), containers=(replace(WEB, env=(reference,)),), template_digest="1"
    )
    env = (replace(reference, is_optional=True),)
    new = replace(old, containers=(replace(WEB, env=env),), template_digest="2")
    assert found(old, new) == [("spec.template", "1", "2")]


def test_labels_of_what_is_chosen_by_its_labels_are_told() -> None:
    old = kube.Namespace(meta("shop", namespace="", labels={"a": "1"}))
    enforce = {"pod-security.kubernetes.io/enforce": "restricted", "a": "1"}
    new = replace(old, meta=replace(old.meta, labels=enforce))
    path = "metadata.labels[pod-security.kubernetes.io/enforce]"
    assert found(old, new) == [(path, "", "restricted")]
    service = kube.Service(meta("s", labels={"a": "1"}))
    assert edited(service, meta=meta("s")) == []


def test_what_the_control_plane_writes_into_a_node_is_no_change() -> None:
    sick = kube.Taint("node.kubernetes.io/unreachable", "NoExecute")
    node = kube.Node(meta("n1", namespace=""))
    assert edited(node, taints=(sick,), conditions=(kube.Condition("Ready", "Unknown"),)) == []


def test_status_and_kinds_that_only_controllers_write_are_no_change() -> None:
    claim = kube.PersistentVolumeClaim(meta("c"), phase="Pending")
    assert edited(claim, phase="Bound", volume_name="pv-1", capacity={"storage": "1Gi"}) == []
    pod = kube.Pod(meta("p"))
    assert edited(pod, containers=(WEB,)) == []
    assert changes(None, pod, after(1), POINTER) == ()
    assert changes(kube.Lease(meta("l")), None, after(1), POINTER) == ()


def test_birth_and_end_of_any_kind_say_what_it_was() -> None:
    policy = kube.NetworkPolicy(meta("n"), types=("Egress",))
    (created,) = changes(None, policy, after(1), POINTER)
    assert (created.type, created.new, created.at) == (
        ChangeType.CREATED,
        "policyTypes=Egress",
        policy.meta.created_at,
    )
    (deleted,) = changes(kube.Service(meta("s"), selector={"app": "web"}), None, after(1), POINTER)
    assert deleted.type is ChangeType.DELETED
    assert deleted.old.startswith("type=ClusterIP selector=app=web")


def test_runs_of_a_cron_job_come_and_go_unmentioned() -> None:
    run = kube.Job(meta("j-1", owner=kube.OwnerRef("CronJob", "j", "u")), containers=(WEB,))
    assert changes(None, run, after(1), POINTER) == ()
    assert changes(run, None, after(1), POINTER) == ()
    (created,) = changes(None, kube.Job(meta("j"), containers=(WEB,)), after(1), POINTER)
    assert created.new == "shop/web:v1"


def test_of_one_observation_so_many_changes_are_told() -> None:
    old = kube.ConfigMap(meta("c"))
    assert len(edited(old, digests={str(number): "x" for number in range(99)})) == CHANGES_MAX


def managed(*managers: FieldManager) -> kube.ObjectMeta:
    return meta("web", managers=managers)


def scaled(old: kube.ObjectMeta, new: kube.ObjectMeta) -> Change:
    base = deployment(meta=old)
    (change,) = changes(base, replace(base, meta=new, replicas_desired=9), after(90), POINTER)
    return change


HELM = FieldManager("helm", "Apply", after(5), owns=("metadata", "spec.template"))
HPA = FieldManager("hpa", "Update", after(7), "scale", ("spec.replicas",))


def test_the_writer_is_who_owns_the_field() -> None:
    label = FieldManager("labeller", "Update", after(8), owns=("metadata.labels.x",))
    change = scaled(managed(HELM), managed(HELM, HPA, label))
    assert (change.manager, change.at) == ("hpa", after(7))


def test_an_owner_of_all_below_or_of_something_above_is_an_owner() -> None:
    whole = FieldManager("kubectl", "Update", after(9), owns=("spec",))
    assert scaled(managed(HELM), managed(HELM, whole)).manager == "kubectl"
    old = kube.Service(managed(HELM), selector={"app": "web"})
    part = FieldManager("argo", "Update", after(9), owns=("spec.selector.app",))
    new = replace(old, meta=managed(HELM, part), selector={"app": "x"})
    (change,) = changes(old, new, after(90), POINTER)
    assert change.manager == "argo"


def test_an_owner_stays_the_writer_when_others_wrote_since() -> None:
    later = FieldManager("kubectl", "Update", after(20), owns=("spec.paused",))
    change = scaled(managed(HPA, replace(HELM, at=after(10))), managed(HPA, HELM, later))
    assert (change.manager, change.at) == ("hpa", after(90))


def test_a_scale_is_not_dated_and_told_all_the_same() -> None:
    scale = replace(HPA, at=None)
    change = scaled(managed(HELM), managed(HELM, scale))
    assert (change.manager, change.at) == ("hpa", after(90))
    change = scaled(managed(HELM, scale), managed(HELM, scale))
    assert change.manager == "hpa"


def test_of_two_who_own_a_field_it_is_whose_entry_is_new() -> None:
    both = [replace(HPA, manager=name) for name in ("a", "b")]
    renewed = replace(both[0], at=after(7), operation="Apply")
    assert scaled(managed(*both), managed(renewed, both[1])).manager == "a"


def removed(*managers: FieldManager) -> str:
    """Return who is said to have taken a node's cordon away that ``managers[0]`` had set."""
    old = kube.Node(managed(*managers[:2]), is_unschedulable=True)
    new = replace(old, meta=managed(*managers[1:]), is_unschedulable=False)
    (change,) = changes(old, new, after(90), POINTER)
    return change.manager


def test_who_took_a_field_away_is_told_if_they_wrote_near_it_and_not_guessed() -> None:
    cordon = FieldManager("kubectl", "Update", after(1), owns=("spec.unschedulable",))
    taint = FieldManager("kubectl-taint", "Update", after(2), owns=("spec.taints",))
    ttl = FieldManager("controller", "Update", after(3), owns=("metadata.annotations",))
    drain = FieldManager("drainer", "Update", after(3), owns=("spec.taints",))
    assert removed(cordon, taint) == ""
    assert removed(cordon, taint, ttl) == ""
    assert removed(cordon, taint, drain) == "drainer"
    assert removed(cordon, taint, replace(ttl, owns=())) == "controller"


def test_names_of_fields_that_only_look_alike_are_told_apart() -> None:
    other = FieldManager("x", "Update", after(9), owns=("spec.replicasOfOthers",))
    assert scaled(managed(HELM), managed(HELM, HPA, other)).manager == "hpa"


@pytest.mark.parametrize("type_", FIELDS, ids=lambda type_: type_.__name__)
def test_every_named_field_exists(type_: type) -> None:
    names = {field.name for field in dataclasses.fields(type_)}
    assert set(FIELDS[type_]) <= names
    assert len(set(FIELDS[type_].values())) == len(FIELDS[type_])
    assert set(NAMES.get(type_, ())) <= names
