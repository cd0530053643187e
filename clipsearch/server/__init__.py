"""The library served to other programs: over HTTP to many at once, and to an assistant over MCP (docs/serve.md)."""
