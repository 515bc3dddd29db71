"""Entry point of ``python -m engine``."""

from engine.cli import app

if __name__ == "__main__":
    app()
