"""Files that are not on this machine: URLs, how they are fetched, and the copies that are read."""
