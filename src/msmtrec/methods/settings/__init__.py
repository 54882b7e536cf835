"""The methods' options, a file for each: a config is read, checked and listed without torch, which methods need."""
