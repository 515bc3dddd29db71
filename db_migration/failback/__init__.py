"""The planned way home, with everything alive: prod goes back to where the cut-over had put it."""
