"""Kubernetes JSON to model values.

Theory. Each kind has msgspec Structs with only the fields we use (``kube_struct``); everything else
(most of managedFields and of status) is skipped by the decoder without building an object, which
is where the speed comes from. ``kube_convert`` then makes the model's dataclasses, so that the model
knows nothing of JSON. An object without a name, or with a wrong type in a field that we read, is
:class:`Malformed`: counted and skipped by the caller, never half read.

A list page, and a block of watch lines, is decoded at once; only if that fails are its parts decoded one
by one, so one broken object costs itself and not its neighbours. Only if a watch line fails as its kind is
its type looked at, because bookmarks and errors carry something else. Size is the reader's to bound.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from opsagent.clients import (
    kube_convert_cluster as to_cluster,
    kube_convert_network as to_network,
    kube_convert_storage as to_storage,
    kube_convert_workload as to_workload,
    kube_struct as struct,
    kube_struct_cluster as cluster,
    kube_struct_network as network,
    kube_struct_storage as storage,
    kube_struct_workload as workload,
)
from opsagent.clients.kube_convert_pod import pod
from opsagent.clients.kube_split import split
from opsagent.clients.kube_struct_pod import Pod
from opsagent.model.entity import Kind
from opsagent.model.kube import KubeObject
from opsagent.model.quick import quick
from opsagent.model.signal import RowType
from opsagent.ports import Forbidden, Gone, ListPage, Transient, WatchEvent

MESSAGE_CHARACTERS_MAX = 300
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)
_ROW_TYPES = {"ADDED": RowType.ADDED, "MODIFIED": RowType.MODIFIED, "DELETED": RowType.DELETED}
_WatchEvent = quick(WatchEvent)
S = TypeVar("S", bound=struct.Object)
Block: TypeAlias = bytes | memoryview


class Malformed(ValueError):  # noqa: N818 - an adjective, like its siblings in ports
    """Bytes that are no such object. The message says what is wrong and where, not what was there."""


class _Codec(Generic[S]):
    """How one kind is read."""

    def __init__(self, shape: type[S], convert: Callable[[S], KubeObject]) -> None:
        self._convert = convert
        self.item = msgspec.json.Decoder(shape)
        self.page: msgspec.json.Decoder[struct.Items[S]] = msgspec.json.Decoder(struct.Items[shape])  # type: ignore[valid-type] # built from a variable
        self.line: msgspec.json.Decoder[struct.Watched[S]] = msgspec.json.Decoder(
            struct.Watched[shape]  # type: ignore[valid-type] # built from a variable
        )

    def model(self, item: S) -> KubeObject:
        """Convert; raises Malformed."""
        if not item.metadata.name:
            raise Malformed("the object has no name")
        try:
            return self._convert(item)
        except _UNREADABLE as error:
            raise Malformed(str(error)) from error


_CODECS: Mapping[Kind, _Codec[Any]] = {
    Kind.NAMESPACE: _Codec(cluster.Namespace, to_cluster.namespace),
    Kind.NODE: _Codec(cluster.Node, to_cluster.node),
    Kind.POD: _Codec(Pod, pod),
    Kind.REPLICA_SET: _Codec(workload.ReplicaSet, to_workload.replica_set),
    Kind.DEPLOYMENT: _Codec(workload.Deployment, to_workload.deployment),
    Kind.EVENT: _Codec(cluster.Event, to_cluster.event),
    Kind.STATEFUL_SET: _Codec(workload.StatefulSet, to_workload.stateful_set),
    Kind.DAEMON_SET: _Codec(workload.DaemonSet, to_workload.daemon_set),
    Kind.JOB: _Codec(workload.Job, to_workload.job),
    Kind.CRON_JOB: _Codec(workload.CronJob, to_workload.cron_job),
    Kind.HORIZONTAL_POD_AUTOSCALER: _Codec(
        workload.HorizontalPodAutoscaler, to_workload.horizontal_pod_autoscaler
    ),
    Kind.POD_DISRUPTION_BUDGET: _Codec(
        workload.PodDisruptionBudget, to_workload.pod_disruption_budget
    ),
    Kind.PERSISTENT_VOLUME_CLAIM: _Codec(
        storage.PersistentVolumeClaim, to_storage.persistent_volume_claim
    ),
    Kind.PERSISTENT_VOLUME: _Codec(storage.PersistentVolume, to_storage.persistent_volume),
    Kind.STORAGE_CLASS: _Codec(storage.StorageClass, to_storage.storage_class),
    Kind.SERVICE: _Codec(network.Service, to_network.service),
    Kind.ENDPOINT_SLICE: _Codec(network.EndpointSlice, to_network.endpoint_slice),
    Kind.INGRESS: _Codec(network.Ingress, to_network.ingress),
    Kind.NETWORK_POLICY: _Codec(network.NetworkPolicy, to_network.network_policy),
    Kind.CONFIG_MAP: _Codec(cluster.ConfigMap, to_cluster.config_map),
    Kind.RESOURCE_QUOTA: _Codec(cluster.ResourceQuota, to_cluster.resource_quota),
    Kind.LIMIT_RANGE: _Codec(cluster.LimitRange, to_cluster.limit_range),
    Kind.SERVICE_ACCOUNT: _Codec(cluster.ServiceAccount, to_cluster.service_account),
    Kind.VALIDATING_WEBHOOK: _Codec(cluster.WebhookConfiguration, to_cluster.validating_webhook),
    Kind.MUTATING_WEBHOOK: _Codec(cluster.WebhookConfiguration, to_cluster.mutating_webhook),
    Kind.LEASE: _Codec(cluster.Lease, to_cluster.lease),
}
_raw_page = msgspec.json.Decoder(struct.Items[msgspec.Raw])
_raw_line = msgspec.json.Decoder(struct.Watched[msgspec.Raw])
_status = msgspec.json.Decoder(struct.Status)
_bookmark = msgspec.json.Decoder(struct.Bookmark)


def decode_object(kind: Kind, content: bytes | msgspec.Raw) -> KubeObject:
    """Decode one object that is known to be of ``kind``.

    Raises:
        Malformed: it is not.
    """
    codec = _CODECS[kind]
    try:
        item = codec.item.decode(content)
    except _UNREADABLE as error:
        raise Malformed(str(error)) from error
    return codec.model(item)


def decode_list(kind: Kind, content: bytes) -> ListPage:
    """Decode one page of a list; broken items are left out and counted in ``malformed``.

    Raises:
        Malformed: the content is no list at all.
    """
    codec = _CODECS[kind]
    with _collector_at_rest():
        try:
            page = codec.page.decode(content)
        except _UNREADABLE:
            return _decode_list_singly(kind, content)
        items: list[KubeObject] = []
        for item in page.items or ():
            try:
                items.append(codec.model(item))
            except Malformed:
                continue
        return _page(page, items)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector from looking through values while they are made: all of them stay."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _decode_list_singly(kind: Kind, content: bytes) -> ListPage:
    try:
        try:
            page = _raw_page.decode(content)
        except RecursionError:
            whole, parts = split(content)
            page = _raw_page.decode(whole)
            page.items = [msgspec.Raw(part) for part in parts]
    except _UNREADABLE as error:
        raise Malformed(str(error)) from error
    items: list[KubeObject] = []
    for item in page.items or ():
        try:
            items.append(decode_object(kind, item))
        except Malformed:
            continue
    return _page(page, items)


def _page(page: struct.Items[Any], items: list[KubeObject]) -> ListPage:
    return ListPage(
        tuple(items),
        page.metadata.resource_version,
        page.metadata.continue_token or "",
        malformed=len(page.items or ()) - len(items),
    )


def decode_watch_block(kind: Kind, block: Block) -> Iterator[WatchEvent | None]:
    """Iterate over the events of whole lines of a watch, in order; None for a line that is none, or not of ``kind``.

    Raises, while it is iterated:
        Gone, Forbidden, Transient: the server ended the watch with an ERROR event; what came before is out.
    """
    codec = _CODECS[kind]
    try:
        return iter([_event(codec, line) for line in codec.line.decode_lines(block)])
    except (*_UNREADABLE, Malformed):
        return (_event_or_none(kind, line) for line in lines_of(block))


def _event(codec: _Codec[S], line: struct.Watched[S]) -> WatchEvent:
    row_type = _ROW_TYPES.get(line.type)
    if row_type is not None:
        item = codec.model(line.object)
        return _WatchEvent(row_type, item.meta.resource_version, item)
    if line.type == "BOOKMARK":
        return _WatchEvent(None, line.object.metadata.resource_version, None)
    raise Malformed("no event of a known type")


def lines_of(block: Block) -> list[bytes]:
    """Return the lines that are not blank, without their ends."""
    return [line for line in bytes(block).split(b"\n") if line and not line.isspace()]


def _event_or_none(kind: Kind, line: bytes) -> WatchEvent | None:
    try:
        return decode_watch_event(kind, line)
    except Malformed:
        return None


def decode_watch_event(kind: Kind, line: bytes) -> WatchEvent:
    """Decode one line of a watch.

    Raises:
        Malformed: it is no event, or its object is not of ``kind``.
        Gone, Forbidden, Transient: the server ended the watch with an ERROR event.
    """
    try:
        event = _raw_line.decode(line)
        if event.type == "BOOKMARK":
            return WatchEvent(None, _bookmark.decode(event.object).metadata.resource_version)
        if event.type == "ERROR":
            raise _watch_error(_status.decode(event.object))
    except _UNREADABLE as error:
        raise Malformed(str(error)) from error
    row_type = _ROW_TYPES.get(event.type)
    if row_type is None:
        raise Malformed("no event of a known type")
    item = decode_object(kind, event.object)
    return WatchEvent(row_type, item.meta.resource_version, item)


def _watch_error(status: struct.Status) -> Exception:
    text = f"watch ended with {status.code} {(status.message or '')[:MESSAGE_CHARACTERS_MAX]!r}"
    if status.code == 410 or status.reason in ("Expired", "Gone"):  # noqa: PLR2004 - HTTP
        return Gone(text)
    if status.code in (401, 403):
        return Forbidden(text)
    return Transient(text)
