"""X-Ray: segments, groups, sampling rules and targets."""
