"""The version of this package: read here by the packages below `Library`, which may not import the top."""

__version__ = "0.1.0"
