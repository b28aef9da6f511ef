"""Run the command as `python -m fellowship`."""

from .scenarios.cli import main

if __name__ == "__main__":
    main()
