"""What opsagent costs beside what one would use without it: candidate and yardstick in one run.

A file in ``pairs`` with a tuple ``ROWS`` is all it takes to add a measurement: a ``Pair`` of two callables,
or a ``Figure`` that is computed. ``python -m tests.bench [--json] [--rounds N] [names]`` runs those whose names begin
with one of ``names``, all by default, prints a line each and fails if a goal is missed.
"""
