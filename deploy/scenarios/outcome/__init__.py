"""Results of a played day: expected, observed, figures, report."""
