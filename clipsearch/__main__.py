"""``python -m clipsearch``: the command line."""

from clipsearch.cli import main

if __name__ == "__main__":
    main()
