"""From a YAML file to resolved contenders, and what their settings mean."""
