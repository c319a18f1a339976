"""All dialects: who speaks it, how its lines are dressed, what it says.

A dialect is a header (a function that dresses a message as the program prints it) and templates, each a
level letter (D, I, W, E, F) and a text with slots; after a bar stand structured fields. The texts are
written for this corpus in the manner of the programs.
"""

from tests.corpus.dialects import databases, hosts, jvm, kubernetes, scripting, web
from tests.corpus.dialects.shape import Dialect

DIALECTS: tuple[Dialect, ...] = (
    *kubernetes.DIALECTS,
    *jvm.DIALECTS,
    *scripting.DIALECTS,
    *web.DIALECTS,
    *databases.DIALECTS,
    *hosts.DIALECTS,
)
# Nobody looked at these while the rules of the miner were written: their figures stand apart.
HELD_OUT = frozenset(
    {
        "scheduler",
        "etcd",
        "kafka",
        "dotnet",
        "celery",
        "envoy",
        "mysql",
        "rabbitmq",
        "cilium",
        "haproxy",
    }
)
