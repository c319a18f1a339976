"""May this be done? Policy, catalogue, decision, approval, life cycle, verification.

Pure and deny by default: what is unknown, unlisted or unreadable is a refusal with a named rule and a
reason. Nothing here acts; the executor asks and obeys.
"""
