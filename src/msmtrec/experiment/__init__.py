"""One experiment: config in, run directory out."""
