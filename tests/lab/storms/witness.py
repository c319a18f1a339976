"""The witness: writes down every state that etcd ever held of the kinds that opsagent watches.

``python -m tests.lab.storms.witness ETCD_URL FILE`` runs until it is killed. When etcd restarts it goes
on behind the last revision that it read, so it misses nothing; if etcd forgot that revision it fails.
"""

import http.client
import sys
import time
from pathlib import Path

import msgspec

from opsagent.clients.kube_path import collection_path
from opsagent.model.entity import FOLLOWED_KINDS, Kind
from tests.lab.storms.etcd import Write, writes
from tests.lab.storms.sighting import Sighting

# A kind's folder is its plural, but for the oldest ones. Services lie one level deeper.
FOLDERS = {collection_path(kind).rpartition("/")[2]: kind for kind in FOLLOWED_KINDS} | {
    "minions": Kind.NODE,
    "specs": Kind.SERVICE,
    "ingress": Kind.INGRESS,
}
RETRY_SECONDS = 0.1


class Witness:
    """Turns writes into sightings; remembers uids, because a deletion does not name one."""

    def __init__(self) -> None:
        self._uids: dict[str, str] = {}

    def sighting(self, write: Write, at: float) -> Sighting | None:
        """Return what the write means, None if it is about another kind."""
        folder, _, name = write.key.removeprefix("services/").partition("/")
        kind = FOLDERS.get(folder)
        if kind is None:
            return None
        if write.value is None:
            uid = self._uids.pop(write.key, "")
            return Sighting(at, kind, name, uid, write.revision, is_deleted=True)
        uid = self._uids[write.key] = write.value["metadata"]["uid"]
        phase = write.value.get("status", {}).get("phase", "") if kind is Kind.POD else ""
        return Sighting(at, kind, name, uid, write.revision, phase)


def main(url: str, path: Path) -> None:
    """Witness until killed."""
    witness, revision = Witness(), 0
    with path.open("ab", buffering=0) as log:
        while True:
            try:
                for write in writes(url, revision + 1):
                    seen = witness.sighting(write, time.time())  # noqa: TID251 - across processes
                    revision = write.revision
                    if seen is not None:
                        log.write(msgspec.json.encode(seen) + b"\n")
            except (OSError, http.client.HTTPException):
                time.sleep(RETRY_SECONDS)  # noqa: TID251 - real programs take real time


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
