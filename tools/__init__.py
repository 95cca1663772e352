"""What developers of this project run; no user needs it, and `stack` knows nothing of it."""
