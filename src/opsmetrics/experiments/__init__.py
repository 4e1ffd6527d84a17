"""A/B tests that tell the truth: estimates, intervals, peeking, planning."""
