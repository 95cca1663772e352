"""`make provision`: what aws/ asks for, an account or the emulators that play one, and the changes.

They go one way: desired, account → changes.
"""
