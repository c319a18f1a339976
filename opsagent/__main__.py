"""``python -m opsagent`` is the command line."""

from opsagent.cli import main

main()
