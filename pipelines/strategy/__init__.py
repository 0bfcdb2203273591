"""The ``strategies`` flow, and what its library is used by."""
