"""Finished runs at work: predictions of raw rows, from Python, from files, over HTTP, and in other runtimes."""
