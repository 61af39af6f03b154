"""The orders service: catalogue, orders, group-buys and stall uploads."""
