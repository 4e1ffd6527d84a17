"""Pure functions of arrays and floats: numpy (and scipy.special) in, numpy out; no frames, no I/O, no globals."""
