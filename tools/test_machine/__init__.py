"""What the tests' machine is given where it has none: a Docker engine, and base images."""
