"""The drift watch: a fixed set of probes, asked afresh again and again, says whether a teacher is still the same."""
