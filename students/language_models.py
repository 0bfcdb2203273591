"""A student's weights, whether it has an encoder or not."""

from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM


def language_model(name: str, **how: Any) -> Any:
    """The student in a folder, or of a name on the Hub.

    Args:
        name: Of the student.
        how: As for transformers' ``from_pretrained``.
    """
    two_parts = AutoConfig.from_pretrained(name).is_encoder_decoder
    return (AutoModelForSeq2SeqLM if two_parts else AutoModelForCausalLM).from_pretrained(name, **how)
