"""Summaries in a real browser, rendered as GitHub does: `make test-browser`."""
