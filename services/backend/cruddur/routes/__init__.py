"""The HTTP API, a blueprint a module."""
