"""Fixtures and hooks that every suite may use."""

import logging
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.contracts.counts import pytest_terminal_summary
from tests.lab.fixture import (
    lab,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    real_node,
    telemetry,
    victorialogs,
)

__all__ = (
    "lab",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_terminal_summary",
    "real_node",
    "telemetry",
    "victorialogs",
)

# A slow machine is no bug: pytest's own time-out bounds a test, hypothesis need not time examples.
_SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **_SLOW_IS_FINE)
settings.register_profile("ci", max_examples=200, **_SLOW_IS_FINE)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")  # noqa: TID251 - the caller's switch


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Generator[None, None, None]:
    """Undo what a program sets up for itself: its handler would outlive the stream that it writes to."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let nothing trace a test marked no_cover: in a worker two tracers run, and the mark itself stops one."""
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
