"""Our methods as a Flower Strategy, for networks and training loops of others (docs/flower-strategy.md)."""
