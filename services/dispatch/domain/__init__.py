"""Promises, waves and jobs as frozen values and pure functions."""
