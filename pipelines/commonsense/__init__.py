"""The ``commonsense`` flow: seeds in, a graph of (head, relation, tail) out."""
