"""Are two databases equal? Continuous, exact, by row."""
