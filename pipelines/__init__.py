"""The flows, the recipes that steer them, the tables they write and the command line."""
