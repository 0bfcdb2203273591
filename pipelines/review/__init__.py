"""What people read and decide: strategies, and spot checks of any dataset."""
