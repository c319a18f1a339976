"""No argument of a writing action is a free string."""

import pytest
from hypothesis import given, strategies as st

from opsagent.guard.catalogue import CATALOGUE, REVISION_MAX, argument_problem
from opsagent.model.entity import Entity, Kind
from opsagent.model.plan import ActionClass, ActionType
from tests.fakes.plans import PROPOSAL, action


def test_every_action_type_is_in_the_catalogue_and_an_undo_is_reversible():
    assert set(CATALOGUE) == set(ActionType)
    assert CATALOGUE[ActionType.ROLLOUT_UNDO].action_class is ActionClass.REVERSIBLE


def test_good_arguments_have_no_problem():
    assert argument_problem(PROPOSAL.action) == ""
    assert argument_problem(action(entity=Entity(Kind.DEPLOYMENT, "a", "a.b-c.d"))) == ""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"entity": Entity(Kind.POD, "shop", "cart")}, "the target is a Pod"),
        ({"entity": Entity(Kind.DEPLOYMENT, "", "cart")}, "namespace"),
        ({"entity": Entity(Kind.DEPLOYMENT, "sh.op", "cart")}, "namespace"),
        ({"entity": Entity(Kind.DEPLOYMENT, "x" * 64, "cart")}, "namespace"),
        ({"entity": Entity(Kind.DEPLOYMENT, "shop", "..")}, "not a valid name"),
        ({"entity": Entity(Kind.DEPLOYMENT, "shop", "cart/../x")}, "not a valid name"),
        ({"entity": Entity(Kind.DEPLOYMENT, "shop", "cart\n")}, "not a valid name"),
        ({"entity": Entity(Kind.DEPLOYMENT, "shop", "саrt")}, "not a valid name"),  # noqa: RUF001 - Cyrillic on purpose
        ({"entity": Entity(Kind.DEPLOYMENT, "shop", ".".join(["a" * 60] * 5))}, "valid name"),
        ({"uid": ""}, "uid"),
        ({"uid": "a b"}, "uid"),
        ({"to_revision": 0}, "revision"),
        ({"to_revision": -1}, "revision"),
        ({"to_revision": REVISION_MAX + 1}, "revision"),
    ],
)
def test_arguments_out_of_range_are_named(changes, problem):
    assert problem in argument_problem(action(**changes))


@given(st.text(), st.text(), st.text())
def test_no_text_but_a_kubernetes_name_passes(namespace, name, uid):
    entity = Entity(Kind.DEPLOYMENT, namespace, name)
    if argument_problem(action(entity=entity, uid=uid)) == "":
        assert set(namespace + name + uid) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
        )
