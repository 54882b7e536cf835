"""The generative model behind synthetic logs."""
