"""Unguessable names from the machine's secure randomness. What replay must reproduce never comes from here."""

import secrets

TOKEN_BYTES = 32  # 256 bits: 43 characters


class SecureIds:
    """``ports.IdSource``."""

    def token(self) -> str:
        """Return 43 URL-safe characters."""
        return secrets.token_urlsafe(TOKEN_BYTES)
