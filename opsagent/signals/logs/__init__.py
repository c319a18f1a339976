"""Container logs, from bytes to redacted lines, each with its template. Pure.

The way: framing (bytes -> lines) -> joining (lines -> records: a stack trace is one) -> reading (format,
stamp, severity, message) -> words, shapes, mining (redaction and template). ``intake`` joins them.
"""
