"""From a log file to encoded, memory-mapped tables."""
