"""The library of a server (`clipsearch serve`), asked over HTTP; it needs nothing of what the server needs."""
