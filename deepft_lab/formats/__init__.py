"""Readers of annotations that others have written."""
