"""Alerts to incidents: grouping, causes, life cycle, and what people and memory are told about it. Pure."""
