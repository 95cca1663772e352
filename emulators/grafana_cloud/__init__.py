"""Grafana Cloud."""
