"""`python -m app.cli` is `cin`."""

from app.cli import main

if __name__ == "__main__":
    main()
