"""What critics raise: never over a reply's content, only where they cannot work at all."""


class CriticError(Exception):
    """A critic cannot be trained, loaded or used as it was told; the text says what is wrong and the mend."""
