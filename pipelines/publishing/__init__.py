"""Publishing a finished run's datasets: the gate before it, the card and versions, and where they go."""
