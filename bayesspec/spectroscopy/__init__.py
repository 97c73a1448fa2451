"""Lines, edges, detector, backgrounds and compositions."""
