"""Named concepts, learned from example pictures and used in queries as ``@name``."""
