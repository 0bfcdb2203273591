"""Asking models, for every flow: sessions through the ledger, budgets and prices, lanes, traces."""
