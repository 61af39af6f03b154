"""Consuming topics: subscriptions, batches in one transaction, dead letters."""
