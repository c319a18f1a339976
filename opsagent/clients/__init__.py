"""The only code that speaks HTTP, one file per remote. Maps each remote's errors onto those of ports/errors.py, once."""
