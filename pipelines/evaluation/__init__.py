"""The ``evaluate`` flow: models in, scores out."""
