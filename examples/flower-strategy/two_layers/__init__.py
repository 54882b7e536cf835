"""docs/flower-strategy.md explains it, file by file."""
