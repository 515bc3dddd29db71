"""`python -m stages.stagectl`."""

from stages.stagectl.cli import main

if __name__ == "__main__":
    main()
