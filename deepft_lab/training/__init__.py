"""Training: one loop, and one file a task. Its modules import torch, but for `recipe` and `template_file`."""
