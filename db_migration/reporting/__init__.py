"""What people and monitoring are told."""
