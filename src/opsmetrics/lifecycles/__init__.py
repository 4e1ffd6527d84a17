"""Where customers stand in their life with the shop: states by period, stages by rule, and the A-I-P-L flow."""
