"""The networks' options, a file for each: a config is read, checked and listed without torch, which networks need."""
