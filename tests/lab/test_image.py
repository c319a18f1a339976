"""The archive of images is one that a container runtime takes; a broken image is told by its tag."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.lab.image import CRASH_LINE, write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    busybox = tmp_path / "busybox"
    busybox.write_text("#!/bin/sh\nprintf 'busybox\\nsh\\nhttpd\\n'\n")
    busybox.chmod(0o755)
    write_archive(busybox, tmp_path / "images.tar")
    return tmp_path / "images.tar"


def configs(archive: Path) -> dict[str, Any]:
    """Return what each image is configured to be, by its name."""
    with tarfile.open(archive) as tar:

        def read(name: str) -> Any:
            member = tar.extractfile(name)
            assert member
            return json.load(member)

        return {each["RepoTags"][0]: read(each["Config"]) for each in read("manifest.json")}


def test_each_fault_that_an_image_can_have_is_there_for_each_workload(archive: Path):
    names = set(configs(archive))
    for repository in ("shop/web", "shop/cart"):
        for tag in ("v1", "v2", "v2-crash", "v2-oom", "v2-slow"):
            assert f"docker.io/{repository}:{tag}" in names
    assert not any("missing" in name for name in names)


def test_the_layer_is_the_one_that_the_configurations_name(archive: Path):
    with tarfile.open(archive) as tar:
        layer = tar.extractfile("layer.tar")
        assert layer
        digest = f"sha256:{hashlib.sha256(layer.read()).hexdigest()}"
    assert {each["rootfs"]["diff_ids"][0] for each in configs(archive).values()} == {digest}


def test_every_command_of_busybox_has_its_name_in_the_image(archive: Path):
    with tarfile.open(archive) as tar:
        layer = tar.extractfile("layer.tar")
        assert layer
        with tarfile.open(fileobj=layer) as inner:
            assert {"bin/busybox", "bin/sh", "bin/httpd"} <= set(inner.getnames())
            assert inner.getmember("bin/sh").linkname == "busybox"


def test_a_crash_says_why(archive: Path):
    command = configs(archive)["docker.io/shop/web:v2-crash"]["config"]["Cmd"]
    assert CRASH_LINE in command[-1]
