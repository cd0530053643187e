"""Serve a library over HTTP, and to an assistant over MCP (docs/serve.md)."""
