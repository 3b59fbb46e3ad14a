"""`python -m app` is `cin`."""

from app.cli import main

if __name__ == "__main__":
    main()
