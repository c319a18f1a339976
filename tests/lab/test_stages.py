"""The stages as kwok reads them; that the pods then fail as they should is tested on the cluster."""

import json

from tests.lab.stages import FAULT_TAGS, STEPS, kwok_stages

STAGES = [json.loads(document) for document in kwok_stages().split("\n---\n")]


def test_every_step_of_every_fault_is_a_stage_with_a_name_of_its_own():
    names = {stage["metadata"]["name"] for stage in STAGES}
    assert names == {f"pod{tag}-{step.name}" for tag in FAULT_TAGS for step in STEPS[tag]}
    assert len(STAGES) == len(names)


def test_a_stage_concerns_only_images_with_its_tag():
    for stage in STAGES:
        (tag,) = (tag for tag in FAULT_TAGS if stage["metadata"]["name"].startswith(f"pod{tag}-"))
        (condition,) = stage["spec"]["selector"]["matchExpressions"]
        assert f'endswith("{tag}")' in condition["key"]
        assert f'hasSuffix "{tag}"' in stage["spec"]["next"]["statusTemplate"]


def test_nothing_is_left_unfilled():
    assert "@" not in kwok_stages()


def test_they_win_over_kwoks_own():
    assert all(stage["spec"]["weight"] > 0 for stage in STAGES)
