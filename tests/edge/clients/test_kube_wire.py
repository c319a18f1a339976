"""What an API server says becomes model values; what is broken is named, counted and never half read."""

import datetime as dt
import gc
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from opsagent.clients.kube_wire import (
    Malformed,
    decode_list,
    decode_object,
    decode_watch_block,
    decode_watch_event,
)
from opsagent.model import kube
from opsagent.model.entity import Kind
from opsagent.model.kube import kind_of
from opsagent.model.signal import RowType
from opsagent.ports import Forbidden, Gone, Transient
from tests.fakes import wire

AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def dump(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def decoded(kind: Kind, content: object) -> Any:
    return decode_object(kind, dump(content))


def test_a_pod_is_read_with_every_field_that_is_used():
    assert decoded(Kind.POD, wire.pod()) == kube.Pod(
        kube.ObjectMeta(
            "shop",
            "web-1",
            "uid-web-1",
            "7",
            created_at=AT,
            labels={"app": "web"},
            annotations={"checksum": "x"},
            owner=kube.OwnerRef("ReplicaSet", "web-abc", "u1"),
        ),
        node_name="n1",
        containers=(
            kube.Container(
                "web",
                "registry.example/shop/web:v2",
                env=(
                    kube.EnvVar("DATABASE", "postgres.shop.svc:5432"),
                    kube.EnvVar("EMPTY"),
                    kube.EnvVar("PASSWORD", source="secretKeyRef:db/password"),
                    kube.EnvVar("LEVEL", source="configMapKeyRef:web/level"),
                    kube.EnvVar("IP", source="fieldRef:status.podIP"),
                    kube.EnvVar("CPU", source="resourceFieldRef:limits.cpu"),
                    kube.EnvVar("NEW"),
                ),
                requests={"cpu": "100m"},
                limits={"memory": "128Mi"},
                readiness_probe=kube.Probe("httpGet", "8080", "HTTP", "/ready"),
                ports=(kube.ContainerPort(8080),),
            ),
        ),
        phase="Running",
        conditions=(kube.Condition("Ready", "True", transition_at=AT),),
        container_statuses=(
            kube.ContainerStatus(
                "web",
                True,
                1,
                kube.ContainerState(kube.Phase.RUNNING, started_at=AT),
                kube.ContainerState(kube.Phase.TERMINATED, "OOMKilled", "", 137, AT, AT),
            ),
        ),
        spec=kube.PodSpec(volumes=(kube.Volume("v", "emptyDir"),)),
    )


def test_a_deployment_is_read_with_its_rollout():
    item = decoded(Kind.DEPLOYMENT, wire.deployment())
    assert (item.revision, item.replicas_desired, item.is_paused) == (2, 3, True)
    assert item.progress_deadline_seconds == 20
    assert item.selector == {"app": "web"}
    assert item.containers == (kube.Container("web", "shop/web:v2"),)
    assert (item.observed_generation, item.meta.generation) == (2, 2)
    assert (item.replicas, item.replicas_updated) == (4, 1)
    assert (item.replicas_ready, item.replicas_available) == (3, 3)
    assert item.conditions[0].reason == "ProgressDeadlineExceeded"


def test_the_template_digest_covers_the_servers_bytes_of_every_field():
    content = wire.deployment()
    template = content["spec"]["template"]
    assert decoded(Kind.DEPLOYMENT, content).template_digest == (
        hashlib.sha256(dump(template)).hexdigest()
    )
    template["spec"]["serviceAccountName"] = "other"  # a field that is not decoded
    assert decoded(Kind.DEPLOYMENT, content).template_digest == (
        hashlib.sha256(dump(template)).hexdigest()
    )


def test_defaults_are_the_apis():
    bare = decoded(Kind.DEPLOYMENT, {"metadata": {"name": "web"}})
    assert bare == kube.Deployment(kube.ObjectMeta("", "web", "", ""))
    assert decoded(Kind.REPLICA_SET, {"metadata": {"name": "web"}}) == (
        kube.ReplicaSet(kube.ObjectMeta("", "web", "", ""))
    )
    assert decoded(Kind.POD, {"metadata": {"name": "web"}}) == (
        kube.Pod(kube.ObjectMeta("", "web", "", ""))
    )
    assert decoded(Kind.EVENT, {"metadata": {"name": "e"}}) == (
        kube.KubeEvent(kube.ObjectMeta("", "e", "", ""))
    )
    assert decoded(Kind.DEPLOYMENT, wire.deployment(replicas=0)).replicas_desired == 0


def test_null_means_absent_everywhere():
    content = {
        "metadata": {
            "name": "web",
            "labels": None,
            "managedFields": None,
            "creationTimestamp": None,
        },
        "spec": {"containers": None, "nodeName": None},
        "status": None,
    }
    assert decoded(Kind.POD, content) == kube.Pod(kube.ObjectMeta("", "web", "", ""))
    assert decoded(Kind.DEPLOYMENT, wire.deployment(template=None)).template_digest == ""
    statuses = {"containerStatuses": [{"name": "web", "state": None, "lastState": {}}]}
    (status,) = decoded(
        Kind.POD, {"metadata": {"name": "web"}, "status": statuses}
    ).container_statuses
    assert status == kube.ContainerStatus("web", False, 0, kube.ContainerState(kube.Phase.WAITING))


def test_a_waiting_container_keeps_its_reason():
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    statuses = {"containerStatuses": [{"name": "web", "state": state}]}
    pod = decoded(Kind.POD, {"metadata": {"name": "web"}, "status": statuses})
    assert pod.container_statuses[0].state == (
        kube.ContainerState(kube.Phase.WAITING, "CrashLoopBackOff", "back-off 40s")
    )


def test_a_node_a_namespace_and_a_replica_set():
    node = decoded(
        Kind.NODE,
        {
            "metadata": {"name": "n1"},
            "spec": {"unschedulable": True},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        },
    )
    assert node.is_unschedulable
    assert node.conditions == (kube.Condition("Ready", "Unknown"),)
    assert decoded(Kind.NODE, {"metadata": {"name": "n1"}}).conditions == ()
    ending = {"metadata": {"name": "shop"}, "status": {"phase": "Terminating"}}
    assert decoded(Kind.NAMESPACE, ending).phase == "Terminating"
    assert decoded(Kind.NAMESPACE, {"metadata": {"name": "shop"}}).phase == "Active"
    replica_set = wire.deployment() | {"status": {"replicas": 3, "readyReplicas": 2}}
    item = decoded(Kind.REPLICA_SET, replica_set)
    assert (item.revision, item.replicas, item.replicas_ready) == (2, 3, 2)


@pytest.mark.parametrize("text", ["", "two", "-1", "1e3", "²", "9" * 40])
def test_a_revision_that_is_no_number_is_none(text: str):
    content = wire.deployment()
    content["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = text
    assert decoded(Kind.DEPLOYMENT, content).revision == 0


def test_both_styles_of_event_are_read():
    counted = decoded(Kind.EVENT, wire.event())
    assert (counted.count, counted.first_at, counted.source) == (5, AT, "kubelet")
    assert counted.last_at == AT + dt.timedelta(minutes=5)
    assert (counted.regarding_kind, counted.regarding_uid) == ("Pod", "uid-web-1")
    series = wire.event(
        count=None,
        firstTimestamp=None,
        lastTimestamp=None,
        eventTime="2026-01-05T00:00:00.000001Z",
        series={"count": 9, "lastObservedTime": "2026-01-05T01:00:00+01:00"},
        source={},
        reportingComponent="scheduler",
    )
    item = decoded(Kind.EVENT, series)
    assert (item.count, item.source) == (9, "scheduler")
    assert item.first_at == AT + dt.timedelta(microseconds=1)
    assert item.last_at == AT
    assert item.last_at.tzinfo is dt.UTC


HOSTILE = {
    "no object": b"[]",
    "no json": b"{",
    "empty": b"",
    "no metadata": b"{}",
    "no name": dump({"metadata": {"uid": "u"}}),
    "a name of the wrong type": dump({"metadata": {"name": 5}}),
    "labels of the wrong type": dump({"metadata": {"name": "a", "labels": ["x"]}}),
    "a label that is no text": dump({"metadata": {"name": "a", "labels": {"x": 1}}}),
    "containers of the wrong type": dump({"metadata": {"name": "a"}, "spec": {"containers": {}}}),
    "a number beyond int64": b'{"metadata":{"name":"a","generation":9223372036854775808}}',
    "a number beyond everything": b'{"metadata":{"name":"a","generation":1e999}}',
    "a stamp that is none": dump({"metadata": {"name": "a", "creationTimestamp": "yesterday"}}),
    "a stamp without a zone": dump(
        {"metadata": {"name": "a", "creationTimestamp": "2026-01-05T00:00:00"}}
    ),
    "a stamp beyond the calendar": dump(
        {"metadata": {"name": "a", "creationTimestamp": "9999-12-31T23:59:59-12:00"}}
    ),
    "bytes that are no utf-8": b'{"metadata":{"name":"\xff"}}',
    "half a surrogate": b'{"metadata":{"name":"\\ud800"}}',
    "an abyss": b'{"metadata":{"name":"a"},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_broken_is_malformed(content: bytes):
    with pytest.raises(Malformed):
        decode_object(Kind.POD, content)


def test_a_broken_template_is_malformed():
    for template in (5, {"spec": {"containers": 5}}):
        with pytest.raises(Malformed):
            decoded(Kind.DEPLOYMENT, wire.deployment(template=template))


def list_of(*items: bytes, token: str = "") -> bytes:
    meta = dump({"resourceVersion": "99", "continue": token})
    return b'{"kind":"PodList","metadata":' + meta + b',"items":[' + b",".join(items) + b"]}"


def test_a_page_has_its_objects_version_and_continuation():
    page = decode_list(Kind.POD, list_of(dump(wire.pod("a")), dump(wire.pod("b")), token="next"))
    assert [item.meta.name for item in page.items] == ["a", "b"]
    assert (page.resource_version, page.continue_token, page.malformed) == ("99", "next", 0)


def test_an_empty_page_may_say_null():
    page = decode_list(Kind.POD, b'{"metadata":{"resourceVersion":"1"},"items":null}')
    assert (page.items, page.continue_token) == ((), "")


READABLE_AS_JSON = [name for name in HOSTILE if name not in ("no json", "empty", "an abyss")]


@pytest.mark.parametrize("name", READABLE_AS_JSON)
def test_a_broken_item_costs_itself_and_not_the_page(name: str):
    try:
        page = decode_list(
            Kind.POD, list_of(dump(wire.pod("a")), HOSTILE[name], dump(wire.pod("b")))
        )
    except Malformed:
        assert name in ("bytes that are no utf-8", "half a surrogate")  # the page is no JSON at all
        return
    assert [item.meta.name for item in page.items] == ["a", "b"]
    assert page.malformed == 1


def test_a_list_that_is_none_is_malformed():
    for content in (b"", b"5", b'{"items":[]}', list_of(b"{")):
        with pytest.raises(Malformed):
            decode_list(Kind.POD, content)


def line(event_type: str, content: object) -> bytes:
    return dump({"type": event_type, "object": content})


@pytest.mark.parametrize("row_type", [RowType.ADDED, RowType.MODIFIED, RowType.DELETED])
def test_a_watch_line_is_an_event(row_type: RowType):
    event = decode_watch_event(Kind.POD, line(row_type.value, wire.pod()))
    assert (event.type, event.resource_version) == (row_type, "7")
    assert event.item == decoded(Kind.POD, wire.pod())


@pytest.mark.parametrize("kind", list(Kind))
def test_a_bookmark_only_says_how_far_the_watch_has_come(kind: Kind):
    content = {"kind": kind.value, "apiVersion": "v1", "metadata": {"resourceVersion": "42"}}
    content |= {"spec": {"containers": None}, "status": {}}
    event = decode_watch_event(kind, line("BOOKMARK", content))
    assert (event.type, event.item, event.resource_version) == (None, None, "42")


def failure(code: int, reason: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version: 1 (2)",
        "reason": reason,
        "code": code,
    }


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (410, "Expired", Gone),
        (410, "", Gone),
        (0, "Gone", Gone),
        (403, "Forbidden", Forbidden),
        (401, "Unauthorized", Forbidden),
        (429, "TooManyRequests", Transient),
        (500, "InternalError", Transient),
    ],
)
def test_an_error_event_is_raised(kind: Kind, code: int, reason: str, error: type[Exception]):
    with pytest.raises(error, match="too old resource version"):
        decode_watch_event(kind, line("ERROR", failure(code, reason)))


def test_a_line_that_is_no_event_is_malformed():
    lines = [b"", b"{}", b"5", line("NEWTYPE", wire.pod()), line("BOOKMARK", 5), line("ERROR", 5)]
    lines += [line("ADDED", {"metadata": {"name": 5}}), line("ADDED", {"metadata": {"name": ""}})]
    for content in lines:
        with pytest.raises(Malformed):
            decode_watch_event(Kind.POD, content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "name",
                    "spec",
                    "status",
                    "template",
                    "containers",
                    "labels",
                    "items",
                    "type",
                    "object",
                    "state",
                    "waiting",
                    "env",
                    "valueFrom",
                    "resourceVersion",
                    "creationTimestamp",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(content=JSON, kind=st.sampled_from(list(Kind)))
@settings(max_examples=200)
def test_any_json_is_an_object_of_its_kind_or_malformed(content: object, kind: Kind):
    try:
        item = decode_object(kind, dump(content))
    except Malformed:
        return
    assert kind_of(item) is kind
    assert item.meta.name


def test_a_block_of_lines_is_read_at_once_and_a_broken_line_costs_itself():
    whole = [line("ADDED", wire.pod("a")), line("DELETED", wire.pod("b"))]
    broken = [b"{", line("ADDED", {"metadata": {"name": ""}}), line("NEWTYPE", wire.pod("c"))]
    bookmark = line(
        "BOOKMARK", {"metadata": {"resourceVersion": "9"}, "spec": {"containers": None}}
    )
    block = b"\n".join([whole[0], b"", bookmark, *broken, whole[1]]) + b"\n"
    for content in (block, memoryview(block)):
        events = list(decode_watch_block(Kind.POD, content))
        assert [each and each.resource_version for each in events] == [
            "7",
            "9",
            None,
            None,
            None,
            "7",
        ]
    names = [
        each and each.item and each.item.meta.name
        for each in decode_watch_block(Kind.POD, whole[0])
    ]
    assert names == ["a"]


def test_what_came_before_an_error_is_given_out():
    block = b"\n".join([line("ADDED", wire.pod("a")), line("ERROR", failure(410, "Expired"))])
    events = decode_watch_block(Kind.POD, block)
    assert next(events) is not None
    with pytest.raises(Gone):
        next(events)


def test_a_page_is_decoded_also_while_the_collector_is_off():
    page = dump({"metadata": {}, "items": [wire.pod("a")]})
    gc.disable()
    try:
        assert len(decode_list(Kind.POD, page).items) == 1
        assert not gc.isenabled()
    finally:
        gc.enable()
    decode_list(Kind.POD, page)
    assert gc.isenabled()
