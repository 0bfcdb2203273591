"""How the embedded models are made and measured, and the word problems that they can do."""
