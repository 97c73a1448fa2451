"""Reading and writing files: what is in them, and what it means as a spectrum image."""
