"""The loop: observe, plan, one step."""
