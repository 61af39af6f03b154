"""Route planner: assigns orders to couriers, trips and positions. It has no database, events or services."""
