"""`python -m msmtrec`."""

from msmtrec.cli.main import main

if __name__ == "__main__":
    main()
