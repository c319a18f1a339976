"""The vocabulary: frozen values that every other part speaks in. No rule, no I/O, no clock."""
