"""One experiment over many machines: each scenario keeps its rows, the server reaches it by messages."""
