"""Plays the vendors on loopback: each checks what the real one checks, and can be told to fail."""
