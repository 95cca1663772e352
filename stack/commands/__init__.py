"""A module a command, each thin over plain functions that the tests call too."""
