"""Made-up logs with known truth: which template each line came from, and which secrets were put in."""
