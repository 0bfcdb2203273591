"""A little T5 from nothing: a tokenizer trained on given texts, and a model that has learnt to fill gaps in them.

What a name on the Hub gives, where no hub can be reached. Digits are words of their own, so that numbers can be copied.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from students.completions import mean_cross_entropies

PAD, END, UNKNOWN, MASK = "<pad>", "</s>", "<unk>", "<extra_id_0>"
_KEPT = 0.7  # share of a text's words that its gaps leave


def train_tokenizer(texts: Sequence[str], words: int) -> PreTrainedTokenizerFast:
    """A byte-pair encoding of so many words, T5's special ones first."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Replace(Regex(r"[ \t]+"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    special = [PAD, END, UNKNOWN, MASK]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=words, special_tokens=special, show_progress=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, extra_special_tokens=[MASK]
    )


def new_t5(tokenizer: PreTrainedTokenizerFast, *, width: int, layers: int, seed: int) -> T5ForConditionalGeneration:
    """With random weights; so many layers in the encoder and as many in the decoder."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=width // 4,
        d_ff=4 * width,
        num_layers=layers,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(config)
    ends = {"pad_token_id": config.pad_token_id, "eos_token_id": config.eos_token_id}
    model.generation_config = GenerationConfig(**ends, decoder_start_token_id=config.pad_token_id)
    return model


def fill_gaps(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    steps: int,
    seed: int,
) -> list[float]:
    """Teach it to write texts whole of which it sees parts (arXiv 1910.10683, section 3.3, with BART's whole target).

    Returns:
        The loss of each step, in nats a token.
    """
    random, losses = Random(seed), []
    rows = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    mask = tokenizer.convert_tokens_to_ids(MASK)
    for _ in range(steps):
        batch = [row[:64] for row in random.sample(rows, 32)]
        gapped = [[word if random.random() < _KEPT else mask for word in row[:-1]] + row[-1:] for row in batch]
        loss = mean_cross_entropies(model, gapped, batch, range(len(batch)), tokenizer.pad_token_id).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def save(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """As transformers loads it."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
