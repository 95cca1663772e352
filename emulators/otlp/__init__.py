"""Any other vendor that takes OTLP."""
