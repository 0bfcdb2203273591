"""Scheduled runs: Prefect deployments of recipes, and what they leave to look at."""
