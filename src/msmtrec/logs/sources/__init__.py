"""One file per public format; each has a settings class whose `load()` returns the raw logs."""
