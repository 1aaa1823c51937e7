"""ShiftViT and its training: a vision transformer whose attention is a shift of channels by one pixel."""
