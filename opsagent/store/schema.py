"""sqlite-utils as the store uses it: the schema of a database and its migrations.

Where pandas is installed sqlite-utils imports it, for a conversion that nobody here calls: 0.8 CPU seconds and 25 MiB of
a daemon that wants to be small. So it is out of sight for that one import.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _out_of_sight(name: str) -> Iterator[None]:
    """Let an import of ``name`` fail within the block, unless it is loaded already."""
    is_loaded = name in sys.modules
    if not is_loaded:
        sys.modules[name] = None  # type: ignore[assignment]  # documented: the import then fails
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules[name]


with _out_of_sight("pandas"):
    from sqlite_utils import Database as Schema, Migrations

__all__ = ["Migrations", "Schema"]
