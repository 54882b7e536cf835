"""The sources' settings, a file for each: a config is read, checked and listed without polars, which reading needs."""
