"""The ``train-critic`` and ``critic-report`` flows: rows that people judged in, a measured critic out."""
