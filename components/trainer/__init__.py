"""Training and export, shared by the Trainer component and `shiftvit train`."""
