"""Raw observations made safe and joined: redaction, changes, the inventory of live objects. Pure."""
