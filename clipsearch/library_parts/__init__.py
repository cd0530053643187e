"""The groups of `clipsearch.library.Library`, each over the context that all of them share."""
