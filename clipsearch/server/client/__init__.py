"""The HTTP client of `clipsearch serve`; it needs none of the server's packages."""
