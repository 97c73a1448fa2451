"""The public functions, each with the steps that only it needs."""
