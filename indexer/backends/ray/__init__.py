"""Indexing on many machines: the files are read and embedded by a pool of workers of a Ray cluster (docs/ray.md)."""
