"""Detection: boxes, anchors, networks made of a backbone, a neck and a head, and what their outputs are worth."""
