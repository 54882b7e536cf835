"""A profile as one page."""
