"""Named concepts: what a person taught the library by a few pictures, used in queries as ``@name``."""
