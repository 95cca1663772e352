"""What the modules of every vendor stand on; it knows none of them."""
