"""The lab: a real Kubernetes on loopback, most nodes pretended, one real, and Prometheus beside it."""
