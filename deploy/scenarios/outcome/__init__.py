"""Results of a day: expected, observed, figures, report."""
