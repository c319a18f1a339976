"""Every text of every kind is judged, and what may hold a secret is redacted wherever it stands."""

import dataclasses
import datetime as dt
import enum
import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any

import pytest

from opsagent.model import kube
from opsagent.model.canonical import canonical
from opsagent.model.entity import Kind
from opsagent.signals.redaction import RULES, Redactor, redact
from tests.core.test_redaction import TOKENS
from tests.fakes.objects import meta

KEY = b"k" * 32
SECRET = TOKENS["github"]
NOTE = {"opsagent.io/note": f"it says {SECRET}"}

# Texts that the API server checks: names of objects and fields, words of the API, quantities, addresses,
# schedules, image references. No secret fits there by mistake.
CHECKED: Mapping[str, str] = {
    "OwnerRef": "kind name uid",
    "FieldManager": "operation subresource owns",
    "ObjectMeta": "namespace name uid resource_version",
    "Condition": "type status reason",
    "Requirement": "key operator",
    "EnvVar": "name source",
    "EnvFrom": "source name prefix",
    "ContainerPort": "name protocol",
    "Probe": "handler port scheme",
    "VolumeMount": "volume",
    "Security": "capabilities_added capabilities_dropped seccomp",
    "Container": "name image requests limits pull_policy restart_policy",
    "Volume": "name type",
    "PodTerm": "topology_key namespaces",
    "Toleration": "key operator effect",
    "TopologySpread": "topology_key when_unsatisfiable",
    "PodSpec": "service_account image_pull_secrets restart_policy priority_class scheduler runtime_class dns_policy",
    "ContainerState": "reason",
    "ContainerStatus": "name",
    "Pod": "node_name phase reason pod_ip qos_class",
    "Deployment": "strategy max_surge max_unavailable",
    "ClaimTemplate": "name storage_class access_modes requests",
    "StatefulSet": "service_name strategy pod_management current_revision update_revision",
    "DaemonSet": "strategy",
    "CronJob": "schedule time_zone concurrency active",
    "ScalingMetric": "type target current",
    "HorizontalPodAutoscaler": "target_kind target_name",
    "PodDisruptionBudget": "available_min unavailable_max",
    "ServicePort": "target name protocol app_protocol",
    "Service": "type cluster_ip external_name external_traffic internal_traffic addresses",
    "EndpointPort": "name protocol",
    "Endpoint": "addresses target_kind target_name node_name",
    "EndpointSlice": "service_name address_type",
    "IngressBackend": "service port resource",
    "IngressPath": "host path_type",
    "IngressTls": "hosts secret",
    "Ingress": "class_name addresses",
    "PolicyPeer": "cidr cidr_except",
    "PolicyPort": "protocol port",
    "NetworkPolicy": "types",
    "PersistentVolumeClaim": "storage_class access_modes requests volume_name volume_mode phase capacity",
    "PersistentVolume": "storage_class access_modes capacity volume_mode reclaim_policy type claim_namespace claim_name "
    "claim_uid phase reason",
    "StorageClass": "provisioner reclaim_policy binding_mode",
    "Namespace": "phase",
    "Taint": "key effect",
    "Node": "capacity allocatable addresses kubelet_version runtime_version",
    "ResourceQuota": "hard used scopes",
    "Limit": "type max min default default_request",
    "ServiceAccount": "image_pull_secrets",
    "WebhookRule": "operations groups resources scope",
    "Webhook": "name failure_policy service_namespace service_name",
    "KubeEvent": "regarding_kind regarding_namespace regarding_name regarding_uid type reason source",
}


def parts_of(type_: object) -> Iterator[object]:
    """Yield the types that values of ``type_`` are made of."""
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin is None:
        yield type_
    for each in inner:
        if each is not Ellipsis:
            yield from parts_of(each)


def walked() -> dict[type, dict[str, set[object]]]:
    """Return every dataclass that an object can hold, with the types in each of its fields."""
    found: dict[type, dict[str, set[object]]] = {}
    waiting: list[type] = list(kube.TYPES.values())
    while waiting:
        type_ = waiting.pop()
        if type_ in found:
            continue
        hints = typing.get_type_hints(type_)
        found[type_] = {
            field.name: set(parts_of(hints[field.name])) for field in dataclasses.fields(type_)
        }
        waiting += [
            part
            for parts in found[type_].values()
            for part in parts
            if isinstance(part, type) and dataclasses.is_dataclass(part)
        ]
    return found


WALKED = walked()


@pytest.mark.parametrize("type_", WALKED, ids=lambda type_: type_.__name__)
def test_every_field_with_text_is_redacted_or_known_to_be_harmless(type_: type) -> None:
    ruled = set(RULES.get(type_, {}))
    checked = set(CHECKED.get(type_.__name__, "").split())
    texts = {name for name, parts in WALKED[type_].items() if str in parts}
    assert texts - ruled == checked
    assert not ruled & checked
    inner = {name for name, parts in WALKED[type_].items() if any(part in RULES for part in parts)}
    assert inner <= ruled, "a part with rules of its own is not reached"
    assert ruled <= set(WALKED[type_])


def filled(type_: Any) -> Any:
    """Return a value of ``type_`` with a secret wherever a rule may meet one."""
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Union, UnionType):
        return filled(next(each for each in inner if each is not type(None)))
    if origin is tuple:
        return (filled(inner[0]),)
    if origin is not None:
        return {"key": f"x {SECRET}"}
    if dataclasses.is_dataclass(type_):
        return filled_object(type_)
    scalars = {str: f"x {SECRET}", dt.datetime: dt.datetime(2026, 1, 5, tzinfo=dt.UTC)}
    return scalars.get(type_) or (next(iter(type_)) if issubclass(type_, enum.Enum) else type_(1))


def filled_object(type_: Any) -> Any:
    hints = typing.get_type_hints(type_)
    harmless = set(CHECKED.get(type_.__name__, "").split())
    values: dict[str, Any] = {}
    for field in dataclasses.fields(type_):
        if type_ is kube.ObjectMeta and field.name == "annotations":
            values[field.name] = NOTE | {"vendor.example/blob": SECRET}
        elif field.name in harmless:
            values[field.name] = plain(hints[field.name])
        else:
            values[field.name] = filled(hints[field.name])
    return type_(**values)


def plain(type_: Any) -> Any:
    """Return a harmless value of a text's type."""
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Union, UnionType):
        return plain(inner[0])
    if origin is tuple:
        return (plain(inner[0]),)
    return {"cpu": "1"} if origin is not None else "x"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_secret_in_any_ruled_place_of_any_kind_is_gone_and_twice_is_once(kind: Kind) -> None:
    item = filled_object(kube.TYPES[kind])
    assert SECRET.encode() in canonical(item)
    redactor = Redactor(KEY)
    safe = redactor.redact(item)
    assert b"planted" not in canonical(safe)
    assert redactor.redact(safe) == safe
    assert redact(safe, KEY) == safe


def test_what_is_clean_is_returned_itself() -> None:
    item = kube.Service(meta("web"), selector={"app": "web"})
    assert redact(item, KEY) is item


def test_values_of_config_maps_become_keyed_hashes() -> None:
    item = kube.ConfigMap(meta("c"), {"level": "0" * 64})
    mine, other = redact(item, KEY), redact(item, b"o" * 32)
    assert isinstance(mine, kube.ConfigMap)
    assert mine.digests["level"].startswith("hmac:")
    assert mine != other


def test_of_a_command_line_program_and_flags_stay_and_addresses_too() -> None:
    web = kube.Container(
        "web",
        "x",
        command=("/bin/web", "--password=planted", "--db-host", "db.shop.svc"),
        args=("serve", "--upstream=http://cart:8080", "-v"),
        liveness_probe=kube.Probe("exec", command=("cat", "planted")),
    )
    safe = redact(kube.Pod(meta("p"), containers=(web,)), KEY)
    assert isinstance(safe, kube.Pod)
    (found,) = safe.containers
    assert found.command[:2] == ("/bin/web", found.command[1])
    assert found.command[1].startswith("--password=hmac:")
    assert found.command[2:] == ("--db-host", "db.shop.svc")
    assert found.args[0].startswith("hmac:")
    assert found.args[1:] == ("--upstream=http://cart:8080", "-v")
    assert found.liveness_probe is not None
    assert found.liveness_probe.command[0] == "cat"
    assert b"planted" not in canonical(safe)


def test_labels_and_what_selects_them_still_meet() -> None:
    labels = {"owner": SECRET}
    pod = redact(kube.Pod(meta("p", labels=labels)), KEY)
    service = redact(kube.Service(meta("s"), selector=labels), KEY)
    policy = redact(kube.NetworkPolicy(meta("n"), kube.LabelSelector(labels)), KEY)
    assert isinstance(service, kube.Service)
    assert isinstance(policy, kube.NetworkPolicy)
    assert pod.meta.labels == service.selector
    assert policy.selector.selects(pod.meta.labels)


def test_parts_that_come_again_are_made_once_and_only_so_many_are_remembered() -> None:
    web = (kube.Container("web", "x", env=(kube.EnvVar("A", "secret value"),)),)
    redactor = Redactor(KEY)
    one = redactor.redact(kube.Pod(meta("a"), containers=web))
    other = redactor.redact(kube.Pod(meta("b"), containers=web))
    assert isinstance(one, kube.Pod)
    assert isinstance(other, kube.Pod)
    assert one.containers is other.containers
    for number in range(10_000):
        redactor.redact(kube.Pod(meta("a", labels={"n": str(number)})))
    assert len(redactor._known) < 10_000


def test_a_url_of_a_webhook_keeps_its_origin() -> None:
    hook = kube.Webhook("h", url="https://hooks.example/planted")
    safe = redact(kube.ValidatingWebhookConfiguration(meta("v"), (hook,)), KEY)
    assert isinstance(safe, kube.ValidatingWebhookConfiguration)
    assert safe.webhooks[0].url.startswith("https://hooks.example/hmac:")
