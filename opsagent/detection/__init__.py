"""Workloads to alerts: what is wrong with a Deployment now, and since when. Pure."""
