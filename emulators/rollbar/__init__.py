"""Rollbar."""
