"""What the logs of all scenarios look like side by side, from two passes over them."""
