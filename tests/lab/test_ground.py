"""What the node claims of the machine is given back, and what another claims is left alone."""

from pathlib import Path

import pytest

from tests.lab.ground import Ground, claim, release


def bridge(ground: Ground) -> Path:
    return Path(f"/sys/class/net/{ground.name}")


@pytest.mark.lab
def test_two_claims_are_two_networks_and_each_is_given_back_alone(tmp_path: Path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = map(claim, folders)
    try:
        assert one.network != two.network
        release(folders[0])
        assert not bridge(one).exists()
        assert bridge(two).exists()
    finally:
        for folder in folders:
            release(folder)
    assert not bridge(two).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{two.name}"))


@pytest.mark.lab
def test_a_claim_from_before_the_machine_was_started_anew_is_void(tmp_path: Path):
    folders = [tmp_path / "old", tmp_path / "new"]
    for folder in folders:
        folder.mkdir()
    ground = claim(folders[1])
    try:
        (folders[0] / "ground").write_text(f"{ground.number} an-earlier-boot")
        release(folders[0])
        assert bridge(ground).exists()
        assert not (folders[0] / "ground").exists()
    finally:
        release(folders[1])


def test_without_a_claim_there_is_nothing_to_release(tmp_path: Path):
    release(tmp_path)
