"""What a user gets: labelled results, estimates, comparisons and plans."""
