"""An API server that only sends pods, in a process of its own: ``python -m tests.bench.kube_server PODS``.

It prints its port and serves until its stdin closes. ``GET /api/v1/pods`` answers a list in pages as ``limit`` and
``continue`` ask; with ``watch`` it streams each pod as one event, a chunk each as the real one does, then ends.
Everything is encoded before the port is told. One connection at a time gets all of the attention.
"""

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.bench.kube_pods import encoded, pods

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Pods:
    """What is served, as it goes over the wire."""

    def __init__(self, number: int) -> None:
        self.items = [encoded(item) for item in pods(number)]
        lines = [b'{"type":"MODIFIED","object":' + item + b"}\n" for item in self.items]
        self.stream = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"

    def page(self, start: int, limit: int) -> bytes:
        end = min(start + limit, len(self.items)) if limit else len(self.items)
        more = b"" if end == len(self.items) else b',"continue":"%d"' % end
        meta = b'{"resourceVersion":"9999999"%s}' % more
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":%s,"items":[' % meta
        return head + b",".join(self.items[start:end]) + b"]}"


def _answer(connection: socket.socket, target: str, served: Pods) -> None:
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    if query.get("watch", "").lower() == "true":
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall(served.stream)
        return
    body = served.page(int(query.get("continue", "0")), int(query.get("limit", "0")))
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _serve(connection: socket.socket, served: Pods) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as lines:
        try:
            while request := lines.readline():
                while lines.readline() not in (b"\r\n", b""):
                    pass
                _answer(connection, request.split()[1].decode(), served)
        except ConnectionError:
            return  # a client that has read enough


def main() -> None:
    served = Pods(int(sys.argv[1]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - its parent reads it
        threading.Thread(target=_accept, args=(listener, served), daemon=True).start()
        sys.stdin.read()


def _accept(listener: socket.socket, served: Pods) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, served), daemon=True).start()


@contextmanager
def serving(number: int) -> Iterator[int]:
    """Serve ``number`` pods and yield the port."""
    command = [sys.executable, "-m", "tests.bench.kube_server", str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline())
        finally:
            child.stdin.close()


@contextmanager
def kubeconfig(port: int) -> Iterator[Path]:
    """Write a kubeconfig for the server on ``port``."""
    content = {
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "bench", "user": {}}],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        yield path


if __name__ == "__main__":
    main()
