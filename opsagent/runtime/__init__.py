"""The asyncio kit: clock, ids, chance, tasks, channels, retries, schedules, telemetry. It knows no rule of the domain.

The one home of what is banned elsewhere: wall clock, random numbers, ``create_task``, queues.
"""
