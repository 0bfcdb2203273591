"""What a run will cost and how long it will take, before it is run."""
