"""Schema migrations, run by `clipsearch.catalog.database`."""
