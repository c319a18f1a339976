"""A real VictoriaLogs on a loopback port of its own, for tests that need one; killed at the end of the block."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.binaries import VICTORIA_LOGS, ensure_binaries
from tests.lab.programs import free_ports, start, stop, wait_until

READY_SECONDS = 30.0


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run one on an empty store in ``folder``; yield its URL."""
    (port,) = free_ports(1)
    arguments = [
        str(ensure_binaries(build=VICTORIA_LOGS) / "victoria-logs"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",  # lines carry the stamps of virtual time
        "-loggerLevel=ERROR",
    ]
    url = f"http://127.0.0.1:{port}"
    process = start("victoria-logs", arguments, home=folder, log=folder / "victoria-logs.log")
    try:
        wait_until(
            lambda: _is_ready(url),
            "victoria-logs",
            timeout_seconds=READY_SECONDS,
            processes=[process],
        )
        yield url
    finally:
        stop([process])


def insert(
    url: str, rows: Sequence[Mapping[str, str]], stream_fields: Sequence[str], tenant: str
) -> None:
    """Write lines of ``_time``, ``_msg`` and fields as ``account:project``; they can be found at once."""
    account, project = tenant.split(":")
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    headers = {
        "Content-Type": "application/stream+json",
        "AccountID": account,
        "ProjectID": project,
    }
    path = f"{url}/insert/jsonline?_stream_fields={','.join(stream_fields)}"
    for request in (
        urllib.request.Request(path, body, headers),
        urllib.request.Request(f"{url}/internal/force_flush"),
    ):
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            assert answer.status == 200


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
