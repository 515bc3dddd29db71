"""The main job as a newcomer sees it: runs the product's own commands and measures from outside."""
