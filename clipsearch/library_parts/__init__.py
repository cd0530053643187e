"""The groups of `clipsearch.library.Library`, each over one shared `LibraryContext`."""
