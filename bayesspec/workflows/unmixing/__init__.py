"""Unmixing of an image into components."""
