"""The two ways to run one plan: `native` under supervisor, `docker` by Compose."""
