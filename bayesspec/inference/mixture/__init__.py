"""Mixture of compositions: every pixel belongs to a phase."""
