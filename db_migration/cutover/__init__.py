"""The planned move of prod."""
