"""Engines: fast ways to the posterior of a model, and what they share. Arrays in, frozen dataclasses out."""
