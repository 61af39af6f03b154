"""The use cases: each a function or class that routes and handlers call, in one transaction, with plain values."""
