"""The ``rationales`` flow: questions in, right and wrong rationales out."""
