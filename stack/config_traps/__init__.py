"""What the collector accepts in its config and then loses data by, or listens too widely.

Its own `validate` says nothing about any of this: each trap here was seen to pass it.
They go one way: look → one module a kind of trap → every.
"""
