"""Metrics per scenario and task, and honest comparisons."""
