"""Promises, waves, delivery jobs and couriers."""
