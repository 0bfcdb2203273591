import torch

from students.divergence import at_divergence, from_divergence

PROMPT, PAD = [9, 9], 0
CHOSEN = torch.tensor([[*PROMPT, 1, 2, 3, 4], [*PROMPT, 1, 2, PAD, PAD], [*PROMPT, 5, 5, 5, 5]])
REJECTED = torch.tensor([[*PROMPT, 1, 7, 3, 8], [*PROMPT, 1, 2, 6, 7], [*PROMPT, 5, 5, 5, 5]])


def test_everything_after_the_first_difference_is_marked_even_what_is_equal_again() -> None:
    expected = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1], [0] * 6]
    assert from_divergence(CHOSEN, REJECTED).int().tolist() == expected


def test_the_first_difference_alone_is_marked() -> None:
    expected = [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0] * 6]
    assert at_divergence(CHOSEN, REJECTED).int().tolist() == expected
