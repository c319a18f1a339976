"""``ports.BinStore`` in memory. Trusted because it passes the port's contract suite."""

import datetime as dt
from collections.abc import Mapping

from opsagent.model.series import Bin, Selection

BINS_MAX = 1000


class MemoryBins:
    """``kept`` has all bins by selection and start."""

    def __init__(self) -> None:
        self.kept: dict[tuple[Selection, int], Bin] = {}

    async def keep(self, selection: Selection, told: Bin) -> None:
        self.kept[selection, told.start_ms] = told

    async def bins(self, selection: Selection, start_ms: int, end_ms: int) -> tuple[Bin, ...]:
        starts = sorted(at for each, at in self.kept if each is selection)
        within = [at for at in starts if start_ms <= at < end_ms]
        return tuple(self.kept[selection, at] for at in within[:BINS_MAX])

    async def ends(self) -> Mapping[Selection, int]:
        newest = dict(sorted(self.kept))
        return {
            selection: at + self.kept[selection, at].width_ms for selection, at in newest.items()
        }

    async def retain(self, oldest: dt.datetime) -> int:
        old = [key for key in self.kept if key[1] < oldest.timestamp() * 1000]
        for key in old:
            del self.kept[key]
        return len(old)

    async def counts(self) -> Mapping[str, int]:
        columns = [
            (each.count, each.sum, each.min, each.max, each.last) for each in self.kept.values()
        ]
        return {
            "bins": len(columns),
            "bytes": sum(part.nbytes for each in columns for part in each),
        }

    async def aclose(self) -> None:
        pass
