"""What the nodes of the TFX pipeline execute."""
