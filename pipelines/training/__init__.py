"""The ``train`` flow: datasets in, a student out."""
