"""Generative models, one a file: plain NumPyro programs that run under any of its inference methods."""
