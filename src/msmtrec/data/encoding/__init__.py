"""From raw columns to encoded tables."""
