"""`python -m msmtrec`."""

from msmtrec.cli import main

if __name__ == "__main__":
    main()
