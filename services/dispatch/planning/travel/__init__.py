"""Distances and travel times: the estimate, and `engines`, an adapter to routing engines over HTTP."""
