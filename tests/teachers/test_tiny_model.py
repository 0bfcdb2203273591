import re
from random import Random

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from pipelines.embedded.cards import Accuracy, measure, problems
from pipelines.embedded.models import make_tokenizer
from pipelines.embedded.recipes import STUDENT, TEACHER, TEMPERATURE, Recipe
from pipelines.embedded.word_problems import CARD, DEMO, word_problem
from teachers.tiny_model import PACKAGED, Sampled, TinyModel, _draw

MODELS = [pytest.param(recipe, id=recipe.folder.name) for recipe in (TEACHER, STUDENT)]


@pytest.fixture(scope="module")
def model() -> TinyModel:
    return TinyModel()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(PACKAGED, local_files_only=True)


def asking(seed: int, number: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": problem.question}] for problem in problems(seed, number)]


def sample(model: TinyModel, rows: list[list[dict[str, str]]], seeds: list[int], **options: float) -> list[Sampled]:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 128, **options}
    return model.sample(rows, seeds, **settings)  # type: ignore[arg-type]


def test_a_row_is_the_same_sample_whatever_shares_its_batch(model: TinyModel) -> None:
    rows = asking(DEMO, 24) * 2
    seeds = list(range(48))
    together = sample(model, rows, seeds)
    order = list(range(48))
    Random(0).shuffle(order)
    shuffled = sample(model, [rows[index] for index in order], [seeds[index] for index in order])
    assert [together[index] for index in order] == shuffled
    assert together[5:8] == [sample(model, [rows[index]], [seeds[index]])[0] for index in range(5, 8)]
    longest = sample(model, asking(CARD, 30) + rows[:9], [7] * 30 + seeds[:9], max_tokens=200)
    assert longest[30:] == together[:9]


def test_samples_of_one_problem_differ_by_seed_and_greedy_ones_do_not(model: TinyModel) -> None:
    rows = asking(DEMO, 1) * 16
    assert len({reply.text for reply in sample(model, rows, list(range(16)))}) > 2
    assert len({reply.text for reply in sample(model, rows, [3] * 16)}) == 1
    assert len({reply.text for reply in sample(model, rows, list(range(16)), temperature=0.0)}) == 1


def test_greedy_is_what_transformers_generates(model: TinyModel, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = asking(DEMO, 6)
    replies = sample(model, rows, [0] * 6, temperature=0.0)
    for messages, reply in zip(rows, replies, strict=True):
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        made = model._model.generate(**prompt, do_sample=False, temperature=None, max_new_tokens=128)
        new = made[0, prompt["input_ids"].shape[1] :]
        assert reply == Sampled(
            tokenizer.decode(new, skip_special_tokens=True), "stop", prompt["input_ids"].shape[1], len(new)
        )


def test_a_reply_that_runs_into_the_limit_says_so(model: TinyModel) -> None:
    whole, cut = (sample(model, asking(DEMO, 1), [4], max_tokens=limit)[0] for limit in (128, 5))
    assert whole.finish_reason == "stop"
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 5)
    assert whole.text.startswith(cut.text)


def test_the_context_ends_a_reply_and_refuses_what_fills_it(model: TinyModel) -> None:
    long = [{"role": "user", "content": "1" * 509}]
    short = asking(DEMO, 1)[0]
    replies = sample(model, [long, short], [0, 4])
    assert replies[0].prompt_tokens + replies[0].completion_tokens <= 512
    assert replies[1] == sample(model, [short], [4])[0]
    with pytest.raises(ValueError, match="conversation 1 has 512 tokens"):
        sample(model, [short, [{"role": "user", "content": "1" * 510}]], [0, 0])


def test_nothing_asked_nothing_answered(model: TinyModel) -> None:
    assert sample(model, [], []) == []
    with pytest.raises(ValueError, match="1 conversations but 2 seeds"):
        sample(model, asking(DEMO, 1), [0, 1])


def test_draws_follow_the_chances() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(20_000, 1)
    uniforms = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = _draw(logits, uniforms, 1.0, 1.0).bincount(minlength=4) / 20_000
    assert counts.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.015)
    nucleus = _draw(logits, uniforms, 1.0, 0.6).bincount(minlength=4) / 20_000
    assert nucleus.tolist() == pytest.approx([0, 0, 3 / 7, 4 / 7], abs=0.015)
    assert set(_draw(logits, uniforms, 0.0, 1.0).tolist()) == {3}


def test_tokens_spell_every_story_byte_for_byte(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [text for i in range(2_500) for p in [word_problem(CARD, i)] for text in (p.question, p.rationale)]
    tokens = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert tokenizer.batch_decode(tokens) == texts
    assert not any(tokenizer.unk_token_id in row for row in tokens)
    assert tokenizer.tokenize("has 47 nuts") == ["<unk>", " ", "4", "7", " nuts"]


def test_the_chat_template_ends_answers_and_leaves_the_system_out(tokenizer: PreTrainedTokenizerFast) -> None:
    user, assistant = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
    system = {"role": "system", "content": "Be brief."}
    prompt = tokenizer.apply_chat_template([system, user], add_generation_prompt=True, tokenize=False)
    assert prompt == "<s>Why?<answer>"
    assert tokenizer.apply_chat_template([user, assistant], tokenize=False) == prompt + "So.</s>"


@pytest.mark.parametrize("recipe", MODELS)
def test_the_packaged_tokenizer_is_the_one_that_the_code_makes(recipe: Recipe) -> None:
    made, tokenizer = make_tokenizer(), AutoTokenizer.from_pretrained(recipe.folder)
    assert made.get_vocab() == tokenizer.get_vocab()
    assert made.chat_template == tokenizer.chat_template


def test_the_packaged_teacher_is_right_about_nine_times_in_ten(model: TinyModel) -> None:
    accuracy, wrong = measure(model, problems(DEMO, 400), TEMPERATURE)
    assert 0.82 < accuracy.right / accuracy.asked < 0.98
    assert len(wrong) == accuracy.asked - accuracy.right


def test_the_packaged_student_can_reason_but_guesses() -> None:
    student, asked = TinyModel(STUDENT.folder), problems(DEMO, 400)
    (greedy, wrong), (sampled, _) = (measure(student, asked, temperature) for temperature in (0.0, TEMPERATURE))
    assert 0.2 < greedy.right / 400 < sampled.right / 400 < 0.55
    assert sum("=" not in reply for _, reply in wrong) > len(wrong) / 2


@pytest.mark.parametrize("recipe", MODELS)
def test_the_card_says_what_the_files_hold(recipe: Recipe) -> None:
    card = (recipe.folder / "README.md").read_text(encoding="utf-8")
    weights = load_file(recipe.folder / "model.safetensors")
    assert f"of {sum(tensor.numel() for tensor in weights.values()):,} parameters" in card
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert (recipe.folder / "model.safetensors").stat().st_size < 2_000_000
    config = LlamaConfig.from_pretrained(recipe.folder)
    assert f"{config.num_hidden_layers} layers, width {config.hidden_size}, {config.vocab_size} tokens" in card
    assert f"{recipe.training.steps:,} steps of {recipe.training.batch_size}" in card


@pytest.mark.parametrize("recipe", MODELS)
def test_the_intervals_in_the_card_are_wilsons(recipe: Recipe) -> None:
    card = (recipe.folder / "README.md").read_text(encoding="utf-8")
    asked = int(re.search(r"first ([\d,]+) problems", card)[1].replace(",", ""))  # type: ignore[index]
    shown = re.findall(r"(\d+\.\d) % \((?:\d+\.\d) % to \d+\.\d %\)", card)
    assert len(shown) == 2
    for percent in shown:
        right = round(float(percent) * asked / 100)
        assert any(f"| {Accuracy(near, asked)} |" in card for near in (right - 1, right, right + 1))  # it is rounded
    low, high = Accuracy(90, 100).interval
    assert (low, high) == (pytest.approx(0.8256, abs=1e-4), pytest.approx(0.9448, abs=1e-4))


@pytest.mark.parametrize("recipe", MODELS)
def test_only_the_files_of_a_model_lie_in_the_folder(recipe: Recipe) -> None:
    names = {path.name for path in recipe.folder.iterdir()}
    assert names == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
