"""Schema migrations, run by `clipsearch.store.database`."""
