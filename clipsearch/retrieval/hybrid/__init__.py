"""Search by meaning and by text together: words that are found literally, and one ranking of both."""
