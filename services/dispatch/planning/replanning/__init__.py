"""Plans changed while couriers drive."""
