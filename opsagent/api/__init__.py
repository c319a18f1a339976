"""People and machines -> opsagent: JSON over HTTP on loopback.

It shows what the daemon believes and passes a person's click on to the approval desk. It decides
nothing, writes nothing, and keeps no approver's token: not in a log, not in an answer, not on disk.
"""
