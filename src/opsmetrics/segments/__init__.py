"""RFM: scores of recency, frequency and money, and the segments that maps make of them."""
