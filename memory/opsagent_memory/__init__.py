"""The condenser: what happened, in little space, every number traceable. Pure; knows nothing of opsagent."""
