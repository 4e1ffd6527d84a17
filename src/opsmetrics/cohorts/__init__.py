"""Cohorts and habits: who comes back, who buys again, how often people come, and who gets started."""
