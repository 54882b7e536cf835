"""Files, archives and queries as frames and chunks; time, splits and repeats."""
