"""The outside world of the lab: sources that grow, and a ledger of what destinations received."""
