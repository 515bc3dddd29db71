"""Stages and their settings, and `stagectl`, which moves a deployment between them."""
