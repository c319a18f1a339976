"""One browser for the suite's tests; skipped where none is installed and none is demanded."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, chromium, is_demanded, program


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Chromium]:
    if program() is None:
        if is_demanded():
            pytest.fail(
                "no Chromium: run 'python -m tests.browser.chromium' as root before the tests"
            )
        pytest.skip("no Chromium is installed: 'python -m tests.browser.chromium' installs it")
    async with chromium(tmp_path / "profile") as running:
        yield running
