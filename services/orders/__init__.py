"""Who sells what to whom: catalogue, orders, terminals, money."""
