"""Durable state in SQLite files: the only SQL of the project. One file, one writer, one lock."""
