"""Late orders: time to insert an order into a running plan, and the saving of a search of a tenth of a second."""
