"""A value that is made quickly is the one that its class makes, whatever frozen class of the model it is of."""

import importlib
import pkgutil
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest

import opsagent.model
from opsagent.controllers.pipeline import Step
from opsagent.model.quick import quick
from opsagent.ports import Batch

MODULES = [
    importlib.import_module(each.name)
    for each in pkgutil.iter_modules(opsagent.model.__path__, "opsagent.model.")
]
CLASSES: set[Any] = {
    each
    for module in MODULES
    for each in vars(module).values()
    if isinstance(each, type) and is_dataclass(each)
}
FROZEN = [
    each
    for each in sorted(CLASSES, key=lambda each: each.__qualname__)
    if each.__dataclass_params__.frozen and each.__dataclass_params__.eq
]


@pytest.mark.parametrize("type_", [*FROZEN, Batch, Step], ids=lambda each: each.__name__)
def test_a_quick_value_is_what_its_class_makes(type_: Any) -> None:
    assert not hasattr(type_, "__post_init__")
    make, names = quick(type_), [each.name for each in fields(type_)]
    needed = [
        each.name
        for each in fields(type_)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    for given in (needed, names):
        values = [f"some {name}" for name in given]
        assert make(*values) == type_(*values)
        assert make(**dict(zip(given, values, strict=True))) == type_(*values)
        assert type(make(*values)) is type_
