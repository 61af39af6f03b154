"""All SQL of the service: the books that its transactions work on, and what its pages read."""
