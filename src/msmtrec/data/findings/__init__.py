"""What training would survive and its figures would not: found once while rows are encoded, a sentence each."""
