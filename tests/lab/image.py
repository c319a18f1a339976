"""The images that run on the real node: busybox, and what its shell is told to do.

One archive holds them all: each image is a tag with a command of its own over the one layer. Their tags
mean what they mean to kwok (``stages.py``), so one scenario plays on both; an image that is not here
cannot be pulled, since the node knows no registry but an empty one.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from tests.lab.stages import CRASH, OOM, SLOW

PAUSE = "docker.io/lab/pause:1"  # what the runtime starts first in every pod
REPOSITORIES = ("shop/web", "shop/cart")
VERSIONS = ("v1", "v2")
PORT = 8080  # GET /healthz answers 200
OOM_LINE = "loading the whole catalogue into memory"
CRASH_LINE = "FATAL: cannot open postgres://shop:hunter2@db.shop:5432/orders: connection refused"

_SERVE = f"""
trap 'exit 0' TERM
mkdir -p /tmp/www && echo ok > /tmp/www/healthz && httpd -p {PORT} -h /tmp/www
"""
_WORK = """
trap 'exit 0' TERM
while :; do echo "GET /orders 200"; sleep 1; done
"""
_COMMANDS = {
    "": _SERVE + _WORK,
    CRASH: f"echo starting; sleep 1; echo '{CRASH_LINE}' >&2; exit 3",
    OOM: f"echo '{OOM_LINE}'; sleep 1; exec tail /dev/zero",
    SLOW: _WORK,
}


def write_archive(busybox: Path, archive: Path) -> None:
    """Write a Docker archive of every image, with ``busybox`` (static) in each."""
    layer = _layer(busybox)
    commands = {PAUSE: "exec sleep 2147483647"}
    for repository in REPOSITORIES:
        for version in VERSIONS:
            for tag, script in _COMMANDS.items():
                commands[f"docker.io/{repository}:{version}{tag}"] = script
    manifest = []
    with tarfile.open(archive, "w") as tar:
        _add(tar, "layer.tar", layer)
        for name, script in commands.items():
            config = _config(script, layer)
            file = f"{hashlib.sha256(name.encode()).hexdigest()}.json"
            _add(tar, file, config)
            manifest.append({"Config": file, "RepoTags": [name], "Layers": ["layer.tar"]})
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _config(script: str, layer: bytes) -> bytes:
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh", "-c", script]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    return json.dumps(config).encode()


def _layer(busybox: Path) -> bytes:
    """Return the file system: busybox under the name of each of its commands."""
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", busybox.read_bytes(), mode=0o755)
        _add(tar, "etc/passwd", b"root:x:0:0::/:/bin/sh\n")
        for applet in applets.stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    return content.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
