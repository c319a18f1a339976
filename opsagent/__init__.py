"""opsagent: an autonomous operations daemon for Kubernetes.

It watches a cluster with cheap exact code, explains what broke, and acts only through guarded,
approved, verified and reversible plans. ``ARCHITECTURE.md`` is the map; ``app.py`` joins the parts.
"""

__version__ = "0.1.0"
