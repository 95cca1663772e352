"""What `make doctor` looks at: one module a kind of check, each a plain function of a `Setup`."""
