"""Debian's Prometheus and Alertmanager on loopback ports of their own, for tests that need the real ones.

They come as ``packages`` unpacks them; no service of the machine is touched. Each runs from a folder of
its own and is killed at the end of the block.
"""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.packages import alertmanager as alertmanager_command, ensure_packages
from tests.lab.programs import LabError, free_ports, start, stop, wait_until

READY_SECONDS = 30.0


def program(name: str) -> str:
    """Return the path of a program; fetch it first if this machine has none.

    Raises:
        LabError: it cannot be had here, and what to do.
    """
    return str(ensure_packages() / "usr" / "bin" / name)


def backfill(samples: Path, target: Path) -> None:
    """Turn OpenMetrics text with stamps into blocks of a Prometheus that is not running.

    One block for all: by default there is one for each two hours, and the text is read once for each.
    """
    command = ["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=400h"]
    done = subprocess.run(
        [program("promtool"), *command, str(samples), str(target)],
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
    if done.returncode:
        raise LabError(f"promtool: {done.stderr or done.stdout}")


@contextmanager
def prometheus(folder: Path, config: str = "", *options: str) -> Iterator[str]:
    """Run Prometheus on the blocks in ``folder / "data"``; yield its URL. ``config`` is YAML."""
    (port,) = free_ports(1)
    (folder / "prometheus.yml").write_text(config)
    arguments = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=10y",  # samples carry the stamps of virtual time
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    with _running("prometheus", arguments, folder, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def alertmanager(folder: Path, config: str) -> Iterator[str]:
    """Run Alertmanager alone, without a cluster; yield its URL."""
    (port,) = free_ports(1)
    (folder / "alertmanager.yml").write_text(config)
    arguments = [
        *alertmanager_command(),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with _running("alertmanager", arguments, folder, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def _running(name: str, arguments: list[str], folder: Path, url: str) -> Iterator[str]:
    process = start(name, arguments, home=folder, log=folder / f"{name}.log")
    try:
        wait_until(
            lambda: _is_ready(f"{url}/-/ready"),
            name,
            timeout_seconds=READY_SECONDS,
            processes=[process],
        )
        yield url
    finally:
        stop([process])


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
