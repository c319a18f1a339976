"""The cluster: answers questions on standard input, a line each, by a length of four bytes and that many bytes.

    list KIND                  the first list of a kind
    watch KIND FIRST COUNT     so many events, a line each
    logs POD FROM TO COUNT     the log of those seconds, as the API server sends it, and of as many again, COUNT times;
                               each behind its length
    samples N FROM TO          a remote-read answer for selection N, of those seconds
    alerts N                   the body of a webhook

Everything follows from the question and the seed, so the same questions get the same bytes. Each record of a log holds a
fresh trace id and number; a record of several lines is one of the corpus' stack traces.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import cramjam
import numpy as np

from tests.bench.five_days.volume import (
    BURST_SECONDS,
    CONTAINER,
    DAY_SECONDS,
    NAMESPACE,
    NODES,
    PODS,
    SCRAPE_SECONDS,
    SIZE,
    WORKLOADS,
    PodName,
    Volume,
    instant,
)
from tests.corpus.dialects import DIALECTS
from tests.corpus.generate import lines
from tests.fakes.virtual_time import EPOCH

POOL = 2_000  # records of each dialect, told again and again with other ids
TURN = 7_919  # a prime: each pod goes through the pool in its own order
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835  # an odd multiplier: no id comes twice
Object = dict[str, Any]


class Feed:
    """One cluster, from one seed."""

    def __init__(self, seed: int, volume: Volume) -> None:
        self._seed = seed
        self._volume = volume

    def answer(self, question: str) -> bytes:
        """Return the bytes that answer ``question``."""
        name, *rest = question.split()
        match name:
            case "list":
                return _listed(rest[0])
            case "watch":
                return self._watched(rest[0], int(rest[1]), int(rest[2]))
            case "logs":
                return self._logs(int(rest[0]), float(rest[1]), float(rest[2]), int(rest[3]))
            case "samples":
                return self._samples(int(rest[0]), int(rest[1]), int(rest[2]))
            case _:
                return self._alerts(int(rest[0]))

    def _logs(self, pod: int, begin: float, end: float, count: int) -> bytes:
        parts = []
        for _ in range(count):
            part = "".join(self._log(pod, begin, end)).encode()
            parts += [SIZE.pack(len(part)), part]
            begin, end = end, end + BURST_SECONDS
        return b"".join(parts)

    def _log(self, pod: int, begin: float, end: float) -> Iterator[str]:
        rate, pool = self._volume.lines_of_pod, _pool(PODS[pod].workload, self._seed)
        for number in range(int(rate * begin), int(rate * end)):
            at = number / rate
            stamp = f"{instant(at)[:-1]}.{int(at % 1 * 1e9):09d}Z"
            raw = pool[(number * TURN + pod) % POOL]
            trace = f"{(number * len(PODS) + pod + 1) * SPREAD & (1 << 128) - 1:032x}"
            if raw.endswith("}"):
                raw = f'{raw[:-1]},"trace_id":"{trace}","seq":{number}}}'
            else:
                raw = f"{raw} trace_id={trace} seq={number}"
            yield from (f"{stamp} {line}\n" for line in raw.split("\n"))

    def _samples(self, selection: int, begin: int, end: int) -> bytes:
        step = SCRAPE_SECONDS
        stamps = np.arange(-(-begin // step) * step, end, step, dtype=np.int64)
        count = self._volume.series
        rng = np.random.default_rng([self._seed, selection, begin])
        values = np.cumsum(rng.random((count, len(stamps))), axis=1) + begin
        stamps_ms = stamps * 1000 + int(EPOCH.timestamp() * 1000)
        packed = _packed(stamps_ms, values)
        parts = []
        for index in range(count):
            body = _labels(selection, index) + packed[index].tobytes()
            parts.append(b"\x0a" + _varint(len(body)) + body)
        result = b"".join(parts)
        answer = b"\x0a" + _varint(len(result)) + result
        return bytes(cramjam.snappy.compress_raw(answer))

    def _watched(self, kind: str, first: int, count: int) -> bytes:
        every = self._volume.watch_seconds
        told = (
            _event(kind, number, number * every, self._seed)
            for number in range(first, first + count)
        )
        return b"".join(json.dumps(each).encode() + b"\n" for each in told)

    def _alerts(self, number: int) -> bytes:
        at = number * self._volume.post_seconds
        rng = random.Random(f"{self._seed}/alerts/{number}")
        alerts = []
        for index in range(self._volume.alerts_of_post):
            pod = rng.choice(PODS)
            is_over = number % 2 == 1
            alerts.append(
                {
                    "status": "resolved" if is_over else "firing",
                    "labels": {
                        "alertname": f"Latency{index}",
                        "severity": "info",
                        "namespace": NAMESPACE,
                        "deployment": pod.workload,
                        "n": str(number // 2),
                    },
                    "annotations": {"summary": f"p99 of {pod.workload} is {rng.random():.3f} s"},
                    "startsAt": instant(at - 30),
                    "endsAt": instant(at) if is_over else "0001-01-01T00:00:00Z",
                    "generatorURL": "",
                    "fingerprint": f"{number // 2:08x}{index:08x}",
                }
            )
        return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


@cache
def _pool(workload: str, seed: int) -> tuple[str, ...]:
    dialect = DIALECTS[int(workload.rpartition("-")[2]) % len(DIALECTS)]
    return tuple(line.raw for line in lines(dialect, seed, POOL))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _packed(stamps_ms: Any, values: Any) -> Any:
    """Return a row of 18 bytes a sample for each series. Source: prompb/types.proto, Sample."""
    count, width = values.shape
    out = np.zeros((count, width, 18), dtype=np.uint8)
    out[:, :, 0:3] = (0x12, 0x10, 0x09)
    out[:, :, 3:11] = values.astype("<f8").view(np.uint8).reshape(count, width, 8)
    out[:, :, 11] = 0x10
    for place in range(6):
        more = 128 if place < 5 else 0
        out[:, :, 12 + place] = (stamps_ms >> 7 * place & 127 | more).astype(np.uint8)
    return out.reshape(count, width * 18)


@cache
def _labels(selection: int, index: int) -> bytes:
    pod = PODS[index % len(PODS)]
    labels = {
        "__name__": f"measured_{selection}_total",
        "container": f"{CONTAINER}{index // len(PODS)}",
        "namespace": NAMESPACE,
        "pod": pod.name,
    }
    return b"".join(_label(name, value) for name, value in labels.items())


def _label(name: str, value: str) -> bytes:
    body = b"".join(
        tag + _varint(len(text)) + text
        for tag, text in ((b"\x0a", name.encode()), (b"\x12", value.encode()))
    )
    return b"\x0a" + _varint(len(body)) + body


def _meta(name: str, version: int, namespace: str = NAMESPACE, **more: Any) -> Object:
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": instant(-DAY_SECONDS),
        **more,
    }


def _owner(kind: str, name: str) -> list[Object]:
    return [
        {
            "apiVersion": "apps/v1",
            "kind": kind,
            "name": name,
            "uid": f"uid-{name}",
            "controller": True,
        }
    ]


def _template(image: str) -> Object:
    containers = [
        {
            "name": CONTAINER,
            "image": image,
            "env": [{"name": "LOG_LEVEL", "value": "info"}],
            "resources": {"limits": {"memory": "256Mi"}},
        }
    ]
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}}


def _pod(pod: PodName, version: int, probed_at: float = 0) -> Object:
    began = instant(-DAY_SECONDS)
    state = {"running": {"startedAt": began}}
    status = {
        "phase": "Running",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "lastTransitionTime": began,
                "lastProbeTime": instant(probed_at),
            }
        ],
        "containerStatuses": [
            {
                "name": CONTAINER,
                "ready": True,
                "restartCount": 0,
                "image": "shop/app:v1",
                "state": state,
            }
        ],
    }
    owners = _owner("ReplicaSet", f"{pod.workload}-7d9f8b6c5")
    meta = _meta(pod.name, version, ownerReferences=owners, labels={"app": pod.workload})
    meta["annotations"] = {"seen": str(version)}
    spec = _template("shop/app:v1")["spec"] | {"nodeName": f"node-{pod.number % NODES}"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}


def _replicas(status: Object, replicas: int) -> Object:
    return status | dict.fromkeys(("replicas", "readyReplicas"), replicas)


def _deployment(number: int, version: int, level: str = "info") -> Object:
    name = f"app-{number:02d}"
    template = _template("shop/app:v1")
    template["spec"]["containers"][0]["env"][0]["value"] = level
    counts = {"updatedReplicas": 5, "availableReplicas": 5, "observedGeneration": version}
    conditions = [
        {"type": "Available", "status": "True"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": _meta(
            name,
            version,
            generation=version,
            annotations={"deployment.kubernetes.io/revision": "1"},
        ),
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": name}}, "template": template},
        "status": _replicas(counts, 5) | {"conditions": conditions},
    }


def _replica_set(number: int) -> Object:
    name = f"app-{number:02d}"
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": _meta(
            f"{name}-7d9f8b6c5",
            1,
            ownerReferences=_owner("Deployment", name),
            annotations={"deployment.kubernetes.io/revision": "1"},
        ),
        "spec": {"replicas": 5, "template": _template("shop/app:v1")},
        "status": _replicas({}, 5),
    }


def _node(number: int) -> Object:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": instant(-DAY_SECONDS)}
    status = {"conditions": [ready]}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": _meta(f"node-{number}", 1, ""),
        "spec": {},
        "status": status,
    }


def _listed(kind: str) -> bytes:
    items: list[Object] = []
    match kind:
        case "pods":
            items = [_pod(pod, 1) for pod in PODS]
        case "deployments":
            items = [_deployment(number, 1) for number in range(WORKLOADS)]
        case "replicasets":
            items = [_replica_set(number) for number in range(WORKLOADS)]
        case "nodes":
            items = [_node(number) for number in range(NODES)]
        case _:
            pass
    return json.dumps(
        {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}
    ).encode()


def _event(kind: str, number: int, at: float, seed: int) -> Mapping[str, Any]:
    """Return one line of a watch: a status that says nothing new, an environment that changes, an Event and its end."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    version = number + 2
    match kind:
        case "pods":
            return {"type": "MODIFIED", "object": _pod(rng.choice(PODS), version, at)}
        case "deployments":
            level = f"level-{number}"
            return {
                "type": "MODIFIED",
                "object": _deployment(rng.randrange(WORKLOADS), version, level),
            }
        case _:
            return {
                "type": "DELETED" if number % 2 else "ADDED",
                "object": _kube_event(number // 2, version, at, seed),
            }


def _kube_event(number: int, version: int, at: float, seed: int) -> Object:
    pod = random.Random(f"{seed}/event/{number}").choice(PODS)
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": _meta(f"{pod.name}.{number:016x}", version),
        "involvedObject": {
            "kind": "Pod",
            "namespace": NAMESPACE,
            "name": pod.name,
            "uid": f"uid-{pod.name}",
        },
        "type": "Normal",
        "reason": "Pulled",
        "message": f"Container image already present on machine, try {number}",
        "count": 1,
        "firstTimestamp": instant(at),
        "lastTimestamp": instant(at),
        "source": {"component": "kubelet"},
    }


def main(arguments: list[str]) -> int:
    """Answer until the questions end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args(arguments)
    feed, out = Feed(options.seed, Volume(options.scale)), sys.stdout.buffer
    for question in sys.stdin:
        answer = feed.answer(question)
        out.write(SIZE.pack(len(answer)) + answer)
        out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
