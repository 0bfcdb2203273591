"""The command line's commands, by what they are about; their heavy imports stay inside them."""
