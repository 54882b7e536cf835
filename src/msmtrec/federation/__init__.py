"""The life of a federation: rounds, scenarios' local training, the server's part, checkpoints."""
