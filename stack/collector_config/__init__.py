"""The collector's config: read, held against what each distribution has, checked by its binary."""
