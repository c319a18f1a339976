"""The same samples as a Prometheus would send them, by query_range and by remote read, from a process of its own.

``python -m tests.bench.metrics_server SERIES POINTS`` prints its port and serves until it is killed. Bytes are made as
Prometheus 2 makes them (JSON without spaces, numbers as strconv's shortest; protobuf without fields that are zero) and
sent unpacked but for remote read's own snappy. Of ten series one holds whole numbers, one is NaN in its second half,
one ends half way, and one is zero every other time. Values are multiples of 1/1024, so that sums are exact in any order.
"""

import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from opsagent.model.series import Labels
from opsagent.sim.remote_read import answer_to

SEED = 1
START_SECONDS = 1_767_571_200
STEP_SECONDS = 30
Samples: TypeAlias = list[tuple[int, float]]  # Unix ms, value


def made(series: int, points: int) -> Iterator[tuple[Labels, Samples]]:
    rng = random.Random(SEED)
    for number in range(series):
        kind = number % 10
        values = [rng.randrange(2**27) / 1024 for _ in range(points)]
        if kind == 0:
            values = [float(round(value)) for value in values]
        if kind == 1:
            values[points // 2 :] = [math.nan] * (points - points // 2)
        if kind == 2:
            del values[points // 2 :]
        if kind == 3:
            values[::2] = [0.0] * len(values[::2])
        first = START_SECONDS * 1000
        yield _labels(number), [(first + 1000 * STEP_SECONDS * n, v) for n, v in enumerate(values)]


def count(series: int, points: int) -> int:
    """Return how many samples ``made`` makes."""
    halves = len(range(2, series, 10))
    return series * points - halves * (points - points // 2)


def as_json(lines: Iterator[tuple[Labels, Samples]]) -> bytes:
    result = [
        {"metric": dict(labels), "values": [[at // 1000, _text(value)] for at, value in samples]}
        for labels, samples in lines
    ]
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode()


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value).removesuffix(".0")


def _labels(number: int) -> Labels:
    pod = f"checkout-{number // 2:05d}-{number * 7919 % 65_536:04x}"
    named = {
        "__name__": "container_cpu_usage_seconds_total",
        "container": f"c{number % 2}",
        "id": f"/kubepods.slice/kubepods-burstable.slice/pod{number:08x}",
        "image": f"registry.example/shop/checkout:v{number % 50}",
        "instance": f"10.0.0.{number % 12}:10250",
        "job": "kubelet",
        "namespace": "shop",
        "pod": pod,
    }
    return tuple(sorted(named.items()))


@contextmanager
def serving(series: int, points: int) -> Iterator[str]:
    """Serve inside the block; yield the URL."""
    command = [sys.executable, "-m", "tests.bench.metrics_server", str(series), str(points)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main(series: int, points: int) -> None:
    ranged = as_json(made(series, points))
    remote = answer_to(made(series, points))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else the last piece of a body waits, and both sides grow cold.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._send(ranged)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._send(remote)

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)  # noqa: T201 - its parent reads it
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
