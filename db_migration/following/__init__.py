"""What a feed does to source and mirror, step by step; and how it is undone."""
