"""Are the counts Poisson: dispersion, drift, outliers and singular values."""
