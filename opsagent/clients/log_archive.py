"""How an archive of logs is opened, by the kind that the configuration names."""

from typing import TypeAlias

from opsagent.clients.archive_query import Address, LogArchiveKind, LogFields
from opsagent.clients.loki import LokiArchive
from opsagent.clients.victorialogs import VictoriaLogsArchive

Opened: TypeAlias = LokiArchive | VictoriaLogsArchive


def open_log_archive(kind: LogArchiveKind, address: Address, fields: LogFields) -> Opened:
    """Return a client; nothing is asked yet, and whoever opens it closes it.

    Raises:
        Terminal: address, tenant or fields are none that such an archive takes.
    """
    is_loki = kind is LogArchiveKind.LOKI
    return LokiArchive(address, fields) if is_loki else VictoriaLogsArchive(address, fields)
