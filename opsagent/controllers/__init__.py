"""Control loops: they move values between the edge and the core, and hold no rules of their own."""
