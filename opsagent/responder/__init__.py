"""From an incident to a proposal, by rules: which runbook fits, which typed action it compiles to.

It reads what the core already knows and only proposes: it never approves, never acts, never talks to a cluster.
"""
