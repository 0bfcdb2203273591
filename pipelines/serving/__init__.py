"""Models that a run brings up itself, for as long as they are asked."""
