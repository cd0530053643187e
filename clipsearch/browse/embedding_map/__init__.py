"""The embedding map of a library: a 2D projection with clusters; see docs/explore.md.

The map is projected by PCA at once and by UMAP in a background process. It is saved in the library, like the vector
index, and updated when the catalog changes: a new picture is placed near its neighbors, until enough pictures were
added or removed that the map is projected again.
"""

from clipsearch.browse.embedding_map.values import EmbeddingMap

__all__ = ["EmbeddingMap"]
