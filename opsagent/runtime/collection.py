"""How often Python looks for garbage in this process."""

import gc

# Of new objects, before the young are looked through; of such rounds, before the older ones are, and the oldest.
THRESHOLDS = (10_000, 20, 50)


def postpone() -> None:
    """Search for no garbage until :func:`settle`: to import all makes next to none, and a search takes longer each time."""
    gc.disable()


def settle() -> None:
    """Leave what has been made by now out of all searches, and search less often: call it once all is imported.

    A daemon keeps what it keeps for long, in tables that a search goes through for nothing; and it makes a few objects for
    each line that it reads, nearly all of which go without a search. Python's own thresholds cost it 5 % of its CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
