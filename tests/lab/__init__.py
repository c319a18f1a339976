"""The lab: a real Kubernetes control plane on loopback, with nodes that only pretend to run pods."""
