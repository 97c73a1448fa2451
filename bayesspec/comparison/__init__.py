"""Methods side by side, scores, and checks of a model against its counts."""
