"""One file a subject, each with a tuple ``ROWS`` of ``Pair`` and ``Figure``."""
