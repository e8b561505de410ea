"""The HTTP clients: REST, the registry and PyGithub, with retries and rate limits. Only this package sends requests."""
