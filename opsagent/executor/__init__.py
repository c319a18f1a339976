"""The only part that writes to a cluster: it keeps the plans, asks people, writes, verifies, takes back.

It trusts nobody's word: proposals are judged by the guard, people by the API server, the outcome by
fresh samples. ``build`` joins its parts; ``app`` gives it a cluster identity of its own and a store.
"""

from opsagent.executor.assembly import ExecutorConfig, build

__all__ = ["ExecutorConfig", "build"]
