"""Nearest neighbours by inner product: the `VectorIndex` interface, two kinds of it over FAISS, and their cache."""
