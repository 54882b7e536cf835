"""Ways to reach the scenarios: on this machine now, a Flower deployment later."""
