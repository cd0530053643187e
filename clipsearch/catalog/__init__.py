"""The catalog: the one truth of a library, in SQL."""
