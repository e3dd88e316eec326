"""Distilling the small base encoder: it learns the full encoder's sentence embeddings before any task.

Cutting layers out of an encoder breaks its embeddings; a few minutes of distillation on the fleet's own
texts restores most of them. The result is cached under a hash of teacher, recipe and texts.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from slmfleet.models.atomic_file import atomic_write
from slmfleet.models.inference.encoder import MAX_TOKENS, read_tokens
from slmfleet.models.progress import Progress
from slmfleet.models.training.augment import with_typo
from slmfleet.models.training.loop import has_fast_bfloat16, seed_everything
from slmfleet.models.training.network import MultiHeadEncoder, attention, base_folder, build, padded
from slmfleet.models.training.recipe import Recipe, epochs_for
from slmfleet.models.training.vocabulary import trim

#: Temperature of the similarities between sentences that the student learns.
_SIMILARITY_TEMPERATURE = 0.05


def _cache_folder(texts: Sequence[str], cache: Path, recipe: Recipe) -> Path:
    with (base_folder() / "model.safetensors").open("rb") as weights:
        teacher = hashlib.file_digest(weights, "sha256").hexdigest()
    source = json.dumps([teacher, asdict(recipe), list(texts)]).encode()
    return cache / hashlib.sha256(source).hexdigest()[:16]


def is_distilled(texts: Sequence[str], cache: Path, recipe: Recipe) -> bool:
    """Whether `cache` has the student of these texts and this recipe."""
    return (_cache_folder(texts, cache, recipe) / "weights.pt").is_file()


def distilled_base(
    texts: Sequence[str], cache: Path, progress: Progress, recipe: Recipe
) -> tuple[Tokenizer, dict[str, Tensor]]:
    """(tokenizer, weights) of the student trained on `texts`, from `cache` where it was trained before."""
    folder = _cache_folder(texts, cache, recipe)
    if (folder / "weights.pt").is_file():
        weights: dict[str, Tensor] = torch.load(folder / "weights.pt", weights_only=True)
        return Tokenizer.from_file(str(folder / "tokenizer.json")), weights
    seed_everything(recipe.seed)
    tokenizer, piece_ids = trim(base_folder() / "tokenizer.json", texts, recipe.vocabulary)
    student = build(piece_ids, recipe.layers, 1, 1, MAX_TOKENS)
    _distill(student, tokenizer, texts, recipe, progress)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    with atomic_write(folder / "weights.pt") as fresh:
        torch.save(student.bert.state_dict(), fresh)
    return tokenizer, student.bert.state_dict()


def _distill(
    student: MultiHeadEncoder, tokenizer: Tokenizer, texts: Sequence[str], recipe: Recipe, progress: Progress
) -> None:
    targets = _teacher_embeddings(texts)
    dice = random.Random(recipe.seed)  # noqa: S311 - training order, not a secret
    optimizer = torch.optim.AdamW(
        student.bert.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True
    )
    epochs = recipe.epochs or epochs_for(len(texts))
    steps = epochs * -(-len(texts) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps + 1, pct_start=0.1
    )
    student.train()
    done = 0
    for _ in range(epochs):
        # Texts of similar length share a batch; the order of the batches is random.
        order = sorted(range(len(texts)), key=lambda index: (len(texts[index]) // 8, dice.random()))
        groups = [order[start : start + recipe.batch] for start in range(0, len(order), recipe.batch)]
        dice.shuffle(groups)
        for group in groups:
            written = [
                with_typo(texts[index], dice) if dice.random() < recipe.typo_share else texts[index]
                for index in group
            ]
            ids = [read_tokens(tokenizer, text)[0] for text in written]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_fast_bfloat16()):
                student_vectors = student(padded(ids, 0), attention(ids))[2].float()
            teacher_vectors = targets[group]
            distance = 1 - (student_vectors * teacher_vectors).sum(-1).mean()
            divergence = functional.kl_div(
                functional.log_softmax(student_vectors @ teacher_vectors.T / _SIMILARITY_TEMPERATURE, -1),
                functional.softmax(teacher_vectors @ teacher_vectors.T / _SIMILARITY_TEMPERATURE, -1),
                reduction="batchmean",
            )
            optimizer.zero_grad()
            (distance + divergence).backward()
            torch.nn.utils.clip_grad_norm_(student.bert.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            progress(done, steps)
    student.eval()


def _teacher_embeddings(texts: Sequence[str]) -> Tensor:
    tokenizer = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    teacher = build(range(tokenizer.get_vocab_size()), range(6), 1, 1, MAX_TOKENS).eval()
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found = torch.zeros(len(texts), 384)
    with torch.inference_mode():
        for start in range(0, len(order), 128):
            group = order[start : start + 128]
            ids = [read_tokens(tokenizer, texts[index])[0] for index in group]
            found[group] = teacher(padded(ids, 0), attention(ids))[2]
    return found
