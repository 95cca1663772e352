"""Our OpenTelemetry distro for Python; see README.md beside `src`."""
