"""Semantic segmentation: what is true of pixels, the pixels' way into the network, networks, losses, the metric."""
