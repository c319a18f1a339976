"""Five days of a busy cluster through the whole daemon, on virtual time: what they cost.

``feed`` is the cluster, in a process of its own, so that making up what it says costs the measured one nothing.
``cluster`` is the daemon's way to it. ``python -m tests.bench.five_days [--scale 0.01]`` is one run and prints its figures.
"""
