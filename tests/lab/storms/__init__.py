"""Storms on a real API server: does the daemon's picture of the cluster stay true through all of them?

Theory. Four parties, each a process of its own:

- the *cluster*: etcd and the control plane of the lab with a crowd of pods that comes and goes (``crowd``);
- the *witness* reads etcd itself, past the API server that the storms hit, and misses nothing (``witness``);
- the *subject* is the daemon, which notes every row that it committed (``subject``);
- between the subject and the API server stands a proxy that cuts, delays and refuses (``proxy``), and
  counts what was asked.

In the end ``verdict`` compares what the subject noted with what the witness saw: the last state of every
object must be the same (0 missed), and no state may have been noted that etcd never held (0 phantoms).
"""
