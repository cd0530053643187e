"""A library as a map: its embeddings on a plane, in clusters; see docs/explore.md.

The map is drawn at once by PCA and then, in a process of its own, by UMAP. It is kept beside the catalog, as the
vector index is, and brought up to date when the catalog has changed: a picture that came later lies at its neighbours,
until so many came or went that it is drawn anew.
"""

from clipsearch.browse.embedding_map.values import EmbeddingMap

__all__ = ["EmbeddingMap"]
