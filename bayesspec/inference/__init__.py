"""Fast ways to the posterior of a model: these modules know JAX and NumPyro, and no spectroscopy."""
