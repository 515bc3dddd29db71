"""Every condition that can stop or endanger a move."""
