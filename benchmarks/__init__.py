"""What the documentation claims about speed and memory, measured: ratios to named peers, in one run, in turns."""
