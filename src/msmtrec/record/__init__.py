"""The run directory and the results in it: written, and read again."""
