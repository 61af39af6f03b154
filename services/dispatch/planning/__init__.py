"""The planner: which courier takes which orders, on which trips, in which order. Knows no database and no events."""
