"""Changes of a plan: couriers on the way, late and removed orders, moves by hand."""
