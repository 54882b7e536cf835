"""Many trainings for one answer: benchmarks of contenders that are tuned alike, ablations of one of them."""
