"""The world's telemetry as typed observations: reconnecting, bounded, counted. No rule looks at it here."""
