"""ShiftViT and its training: a vision transformer whose attention is a shift of channels by one pixel."""

from shiftvit.stack import choose_keras

choose_keras()
