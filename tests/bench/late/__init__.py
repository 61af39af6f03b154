"""Late orders: how soon an order finds its place in a running plan, and how much a tenth of a second more saves."""
