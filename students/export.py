"""A trained student as it ships: whole, in the precision of the one it began as, with its tokenizer and end token."""

import shutil
from pathlib import Path
from typing import Any, Final

from peft import PeftModel
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from students.chat import set_end_token
from students.language_models import language_model

_ADAPTER: Final = ("adapter_config.json", "adapter_model.safetensors")


def load_to_ship(model: str, adapter: str | None, original: str) -> Any:
    """A student, its adapter merged into it, in the original's precision."""
    dtype = AutoConfig.from_pretrained(original).dtype
    if adapter is None:
        return language_model(model, dtype=dtype)
    # Merged in 32 bits and rounded once, as a student trained in full is.
    whole = PeftModel.from_pretrained(language_model(model, dtype="float32"), adapter)
    merged = whole.merge_and_unload()
    return merged if dtype is None else merged.to(dtype)


def export(model: str, adapter: str | None, original: str, end_token: str | None, folder: Path) -> None:
    """Write a student, whole, and beside it its adapter where it has one.

    Args:
        model: As trained; with LoRA, the student without its adapter.
        adapter: Its adapter's folder.
        original: The student as it was given.
        end_token: Ends a reply, in place of the tokenizer's own.
        folder: Where the student goes; its adapter goes to ``adapter`` beside it.
    """
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(original)
    student = load_to_ship(model, adapter, original)
    if end_token is not None:
        set_end_token(tokenizer, end_token, student)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    student.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    if adapter is not None:
        beside = folder.with_name("adapter")
        beside.mkdir(exist_ok=True)
        for name in _ADAPTER:
            shutil.copy2(Path(adapter) / name, beside / name)
