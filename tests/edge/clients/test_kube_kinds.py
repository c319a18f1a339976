"""Every kind is read with the fields that joins need; absent parts become the API's defaults."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from opsagent.clients.kube_wire import decode_object
from opsagent.model import kube
from opsagent.model.entity import API_VERSIONS, CLUSTER_SCOPED, FOLLOWED_KINDS, Kind
from tests.fakes import wire, wire_kinds as kinds

AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
META = kube.ObjectMeta("shop", "x", "uid-x", "7", created_at=AT)
CONDITION = kube.Condition("X", "False", "Why", "because", AT)
SELECTOR = kube.LabelSelector({"app": "web"}, (kube.Requirement("tier", "In", ("front", "edge")),))
NODE_TERM = kube.NodeTerm(
    (kube.Requirement("zone", "In", ("a",)),), (kube.Requirement("metadata.name", "In", ("n1",)),)
)
CONTAINERS = (kube.Container("web", "shop/web:v2"),)
TEMPLATE = kube.PodTemplate(
    {"app": "web"}, {"kubectl.kubernetes.io/restartedAt": "2026-01-05T00:00:00Z"}
)


def dump(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def digest(content: object) -> str:
    return hashlib.sha256(dump(content)).hexdigest()


def decoded(kind: Kind, content: object) -> Any:
    return decode_object(kind, dump(content))


DIGEST = digest(kinds.template())
WEBHOOKS = (
    kube.Webhook(
        "a.example",
        "Ignore",
        "kube-system",
        "hook",
        8443,
        "",
        5,
        (kube.WebhookRule(("CREATE",), ("",), ("pods",), "Namespaced"),),
        SELECTOR,
    ),
    kube.Webhook("b.example", url="https://hooks.example/v1"),
)
BACKEND = kube.IngressBackend("web", "80")
EXPECTED: dict[Kind, tuple[dict[str, Any], kube.KubeObject]] = {
    Kind.NODE: (
        kinds.node(),
        kube.Node(
            META,
            True,
            (CONDITION,),
            (kube.Taint("gpu", "NoSchedule", "yes", AT),),
            {"cpu": "8", "nvidia.com/gpu": "1"},
            {"cpu": "7500m"},
            ("10.0.0.2",),
            "v1.37.2",
            "containerd://2.1",
        ),
    ),
    Kind.STATEFUL_SET: (
        kinds.stateful_set(),
        kube.StatefulSet(
            META,
            3,
            SELECTOR,
            "db",
            CONTAINERS,
            DIGEST,
            TEMPLATE,
            (
                kube.ClaimTemplate("disk", "fast", ("ReadWriteOnce",), {"storage": "1Gi"}),
                kube.ClaimTemplate(""),
            ),
            "RollingUpdate",
            1,
            "Parallel",
            2,
            3,
            2,
            1,
            2,
            "db-1",
            "db-2",
            (CONDITION,),
        ),
    ),
    Kind.DAEMON_SET: (
        kinds.daemon_set(),
        kube.DaemonSet(
            META, SELECTOR, CONTAINERS, DIGEST, TEMPLATE, "OnDelete", 2, 5, 4, 3, 2, 1, 6
        ),
    ),
    Kind.JOB: (
        kinds.job(),
        kube.Job(
            META, 2, 4, 0, 60, True, CONTAINERS, DIGEST, TEMPLATE, 1, 2, 3, AT, AT, (CONDITION,)
        ),
    ),
    Kind.CRON_JOB: (
        kinds.cron_job(),
        kube.CronJob(
            META,
            "*/5 * * * *",
            "Europe/Berlin",
            True,
            "Forbid",
            10,
            CONTAINERS,
            DIGEST,
            TEMPLATE,
            ("x-1",),
            AT,
            AT,
        ),
    ),
    Kind.HORIZONTAL_POD_AUTOSCALER: (
        kinds.autoscaler(),
        kube.HorizontalPodAutoscaler(
            META,
            "Deployment",
            "web",
            2,
            5,
            5,
            5,
            (
                kube.ScalingMetric("Resource", "cpu", "80%", "95%"),
                kube.ScalingMetric("External", "queue_length", "30"),
                kube.ScalingMetric("ContainerResource", "memory of web", "100Mi"),
                kube.ScalingMetric("Future", ""),
            ),
            AT,
            (CONDITION,),
        ),
    ),
    Kind.POD_DISRUPTION_BUDGET: (
        kinds.budget(),
        kube.PodDisruptionBudget(META, SELECTOR, "50%", "1", 1, 3, 2, 4, (CONDITION,)),
    ),
    Kind.PERSISTENT_VOLUME_CLAIM: (
        kinds.claim(),
        kube.PersistentVolumeClaim(
            META,
            "",
            ("ReadWriteMany",),
            {"storage": "5Gi"},
            SELECTOR,
            "pv-1",
            "Block",
            "Pending",
            {"storage": "4Gi"},
            (CONDITION,),
        ),
    ),
    Kind.PERSISTENT_VOLUME: (
        kinds.volume(),
        kube.PersistentVolume(
            META,
            "fast",
            ("ReadWriteOnce",),
            {"storage": "5Gi"},
            "Block",
            "Delete",
            "hostPath",
            (NODE_TERM,),
            "shop",
            "web-0",
            "u",
            "Released",
            "Why",
            "because",
        ),
    ),
    Kind.SERVICE: (
        kinds.service(),
        kube.Service(
            META,
            "LoadBalancer",
            {"app": "web"},
            (
                kube.ServicePort(80, "http", "http", "TCP", 30080),
                kube.ServicePort(53, "53", "", "UDP", 0, "dns"),
                kube.ServicePort(81, "8081"),
            ),
            "10.0.0.1",
            "web.example",
            True,
            "Local",
            "Cluster",
            ("1.2.3.4", "lb.example"),
        ),
    ),
    Kind.INGRESS: (
        kinds.ingress(),
        kube.Ingress(
            META,
            "nginx",
            BACKEND,
            (
                kube.IngressPath("shop.example", "/", "Prefix", BACKEND),
                kube.IngressPath(
                    "shop.example", "/api", "Exact", kube.IngressBackend("api", "http")
                ),
                kube.IngressPath(
                    "shop.example", "", "", kube.IngressBackend(resource="StorageBucket/static")
                ),
                kube.IngressPath("shop.example", "", "", kube.IngressBackend()),
            ),
            (kube.IngressTls(("shop.example",), "tls"),),
            ("1.2.3.4",),
        ),
    ),
    Kind.NETWORK_POLICY: (
        kinds.network_policy(),
        kube.NetworkPolicy(
            META,
            types=("Ingress", "Egress"),
            ingress=(
                kube.PolicyRule(
                    (
                        kube.PolicyPeer(SELECTOR, kube.EVERYTHING),
                        kube.PolicyPeer(cidr="10.0.0.0/8", cidr_except=("10.1.0.0/16",)),
                    ),
                    (
                        kube.PolicyPort("TCP", "8080", 8090),
                        kube.PolicyPort(port="http"),
                        kube.PolicyPort(),
                    ),
                ),
            ),
            egress=(kube.PolicyRule((kube.PolicyPeer(kube.LabelSelector({"app": "db"})),)),),
        ),
    ),
    Kind.CONFIG_MAP: (
        kinds.config_map(),
        kube.ConfigMap(
            META,
            {"level": digest("debug"), "other": digest("x"), "blob": digest("AAEC")},
            True,
        ),
    ),
    Kind.RESOURCE_QUOTA: (
        kinds.quota(),
        kube.ResourceQuota(
            META, {"pods": "10", "requests.cpu": "4"}, {"pods": "10"}, ("BestEffort",)
        ),
    ),
    Kind.LIMIT_RANGE: (
        kinds.limit_range(),
        kube.LimitRange(
            META,
            (
                kube.Limit(
                    "Container", {"cpu": "2"}, {"cpu": "10m"}, {"cpu": "500m"}, {"cpu": "100m"}
                ),
            ),
        ),
    ),
    Kind.SERVICE_ACCOUNT: (kinds.service_account(), kube.ServiceAccount(META, ("registry",))),
    Kind.VALIDATING_WEBHOOK: (
        kinds.webhooks("ValidatingWebhookConfiguration"),
        kube.ValidatingWebhookConfiguration(META, WEBHOOKS),
    ),
    Kind.MUTATING_WEBHOOK: (
        kinds.webhooks("MutatingWebhookConfiguration"),
        kube.MutatingWebhookConfiguration(META, WEBHOOKS),
    ),
    Kind.LEASE: (kinds.lease(), kube.Lease(META, "n1", 40, AT, AT, 3)),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_kind_is_read_with_every_field_that_is_used(kind: Kind) -> None:
    content, expected = EXPECTED[kind]
    assert decoded(kind, content) == expected


@pytest.mark.parametrize("kind", list(Kind))
def test_of_every_kind_a_name_is_enough_and_null_is_absent(kind: Kind) -> None:
    bare = decoded(kind, {"metadata": {"name": "x"}})
    assert bare == kube.TYPES[kind](kube.ObjectMeta("", "x", "", ""))  # type: ignore[call-arg] # the rest has defaults
    nulls = dict.fromkeys(("spec", "status", "data", "webhooks", "endpoints", "ports"))
    assert decoded(kind, {"metadata": {"name": "x"}} | nulls) == bare
    assert decoded(kind, {"metadata": {"name": "x"}, "spec": {}, "status": {}}) == bare


def test_a_slice_names_its_service_and_judges_its_endpoints() -> None:
    item = decoded(Kind.ENDPOINT_SLICE, kinds.endpoint_slice())
    assert (item.service_name, item.address_type) == ("web", "IPv4")
    assert item.ports == (kube.EndpointPort(8080, "http"), kube.EndpointPort(0))
    assert item.endpoints == (
        kube.Endpoint(("10.1.0.1",), True, True, False, "Pod", "web-1", "n1"),
        kube.Endpoint(("10.1.0.2",), False, True, True),
        kube.Endpoint(("10.1.0.3",)),
    )


def test_a_storage_class_knows_whether_it_is_the_default() -> None:
    item = decoded(Kind.STORAGE_CLASS, kinds.storage_class())
    assert (item.provisioner, item.reclaim_policy) == ("csi.example", "Retain")
    assert (item.binding_mode, item.may_expand, item.is_default) == (
        "WaitForFirstConsumer",
        True,
        True,
    )


def test_an_ingress_of_the_old_style_has_its_class_in_an_annotation() -> None:
    meta = wire.metadata("x", annotations={"kubernetes.io/ingress.class": "nginx"})
    assert decoded(Kind.INGRESS, {"metadata": meta}).class_name == "nginx"


def test_a_policy_without_types_is_about_what_it_has_rules_for() -> None:
    content = {"metadata": {"name": "x"}, "spec": {"egress": [{}]}}
    assert decoded(Kind.NETWORK_POLICY, content).types == ("Ingress", "Egress")


CONTAINER = kube.Container(
    "web",
    "shop/web:v2",
    ports=(kube.ContainerPort(8080, "http", "TCP", 80),),
    command=("/bin/web", "--verbose"),
    args=("--listen", "8080"),
    env_from=(
        kube.EnvFrom("configMapRef", "settings", "X_", True),
        kube.EnvFrom("secretRef", "db"),
    ),
    liveness_probe=kube.Probe(
        "tcpSocket",
        "http",
        initial_delay_seconds=5,
        period_seconds=3,
        timeout_seconds=2,
        failure_threshold=1,
    ),
    startup_probe=kube.Probe("exec", command=("cat", "/ready")),
    readiness_probe=kube.Probe("grpc", "9090"),
    mounts=(kube.VolumeMount("disk", "/data", "web", True),),
    security=kube.Security(
        1000,
        1000,
        None,
        True,
        False,
        False,
        True,
        ("NET_BIND_SERVICE",),
        ("ALL",),
        "RuntimeDefault",
    ),
    pull_policy="Always",
)
SPEC = kube.PodSpec(
    service_account="web",
    volumes=(
        kube.Volume("disk", "persistentVolumeClaim", "web-0"),
        kube.Volume("conf", "configMap", "settings", True),
        kube.Volume("cert", "secret", "tls"),
        kube.Volume("host", "hostPath", "/var/log"),
        kube.Volume("csi", "csi", "secrets.example"),
        kube.Volume("both", "configMap", "a"),
        kube.Volume("both", "secret", "b"),
        kube.Volume("scratch", "emptyDir"),
        kube.Volume("odd", ""),
    ),
    image_pull_secrets=("registry",),
    node_selector={"disk": "ssd"},
    node_terms=(NODE_TERM,),
    pod_affinity=(kube.PodTerm("kubernetes.io/hostname", SELECTOR, ("shop",), kube.EVERYTHING),),
    pod_anti_affinity=(kube.PodTerm("zone"),),
    tolerations=(
        kube.Toleration("gpu", "Exists", "", "NoExecute", 300),
        kube.Toleration("team", "Equal", "shop"),
    ),
    topology_spread=(kube.TopologySpread("zone", 2, "DoNotSchedule", SELECTOR, 3),),
    security=kube.Security(fs_group=2000),
    uses_host_network=True,
    uses_host_pid=True,
    uses_host_ipc=True,
    restart_policy="Never",
    priority_class="high",
    scheduler="default-scheduler",
    runtime_class="gvisor",
    dns_policy="None",
)


def with_init(spec: kube.PodSpec) -> list[str]:
    return [f"{each.name} {each.restart_policy}" for each in spec.init_containers]


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        (Kind.POD, lambda spec: {"spec": spec}),
        (Kind.REPLICA_SET, lambda spec: {"spec": {"template": {"spec": spec}}}),
        (Kind.CRON_JOB, lambda spec: {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
    ],
)  # fmt: skip
def test_where_a_pod_may_run_and_what_it_needs(
    kind: Kind, wrap: Callable[[object], dict[str, Any]]
) -> None:
    content = {"metadata": {"name": "x"}} | wrap(kinds.pod_spec())
    item = decoded(kind, content)
    found = item.spec if kind is Kind.POD else item.template.spec
    assert item.containers == (CONTAINER,)
    assert with_init(found) == ["init Always"]
    for name in kube.PodSpec.__slots__:
        if name != "init_containers":
            assert getattr(found, name) == getattr(SPEC, name), name


def test_a_probe_of_a_future_kind_keeps_its_timing() -> None:
    probe = {"carrierPigeon": {}, "periodSeconds": 7}
    spec = {"containers": [{"name": "web", "readinessProbe": probe}]}
    item = decoded(Kind.POD, {"metadata": {"name": "x"}, "spec": spec})
    assert item.containers[0].readiness_probe == kube.Probe("", period_seconds=7)


def test_a_pod_says_where_it_is_how_it_began_and_why_it_failed() -> None:
    init = {"name": "init", "ready": True, "state": {"terminated": {"exitCode": 1}}}
    status = {
        "phase": "Failed",
        "message": "was low on memory",
        "podIP": "10.1.0.1",
        "qosClass": "Burstable",
        "startTime": "2026-01-05T00:00:00Z",
        "initContainerStatuses": [init],
    }
    item = decoded(Kind.POD, {"metadata": {"name": "x"}, "status": status})
    assert (item.message, item.pod_ip, item.qos_class) == (
        "was low on memory",
        "10.1.0.1",
        "Burstable",
    )
    assert item.started_at == AT
    assert [each.name for each in item.init_statuses] == ["init"]


def test_a_reference_that_may_be_missing_says_so() -> None:
    ref = {"name": "db", "key": "password", "optional": True}
    env = [{"name": "A", "valueFrom": {"secretKeyRef": ref}}]
    spec = {"containers": [{"name": "web", "env": env}]}
    item = decoded(Kind.POD, {"metadata": {"name": "x"}, "spec": spec})
    assert item.containers[0].env == (kube.EnvVar("A", "", "secretKeyRef:db/password", True),)


def test_a_deployment_says_how_it_rolls() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}
    item = decoded(Kind.DEPLOYMENT, wire.deployment(strategy=strategy, template=kinds.template()))
    assert (item.strategy, item.max_surge, item.max_unavailable) == ("RollingUpdate", "1", "25%")
    assert item.template == TEMPLATE


def test_every_kind_has_a_version_and_leases_are_not_followed() -> None:
    assert set(API_VERSIONS) == set(kube.TYPES) == set(Kind)
    assert set(Kind) - set(FOLLOWED_KINDS) == {Kind.LEASE}
    assert set(Kind) > CLUSTER_SCOPED


@pytest.mark.parametrize(
    ("operator", "values", "admitted"),
    [
        ("In", ("5", "6"), ["5"]),
        ("NotIn", ("5",), ["7", None, "x"]),
        ("Exists", (), ["5", "7", "x"]),
        ("DoesNotExist", (), [None]),
        ("Gt", ("5",), ["7"]),
        ("Lt", ("7",), ["5"]),
        ("Gt", (), []),
        ("Future", ("5",), []),
    ],
)
def test_a_requirement_admits_what_the_api_says(
    operator: str, values: tuple[str, ...], admitted: list[str | None]
) -> None:
    wish = kube.Requirement("level", operator, values)
    labels = ["5", "7", None, "x"]
    found = [each for each in labels if wish.admits({} if each is None else {"level": each})]
    assert found == admitted


def test_a_selector_wants_all_its_labels_and_expressions() -> None:
    assert SELECTOR.selects({"app": "web", "tier": "edge", "x": "y"})
    assert not SELECTOR.selects({"app": "web"})
    assert not SELECTOR.selects({"app": "api", "tier": "edge"})
    assert kube.EVERYTHING.selects({})


def test_what_admission_gives_to_every_pod_is_left_out() -> None:
    given = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    tolerations = [given | {"tolerationSeconds": 300}, given | {"tolerationSeconds": 5}]
    item = decoded(Kind.POD, {"metadata": {"name": "x"}, "spec": {"tolerations": tolerations}})
    assert [each.seconds for each in item.spec.tolerations] == [5]
