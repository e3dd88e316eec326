"""What decides a trained model besides its rows: Recipe, and the recipes in use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters of one training. The field names stand in bundle.json; rates are learning rates."""

    #: Layers of the full encoder that the model keeps.
    layers: tuple[int, ...]
    vocabulary: int = 6_000
    epochs: int | None = None  # as many as epochs_for() says
    batch: int = 32
    rate: float = 2e-4
    head_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1
    # Shares of the rows without slots that are augmented: with a typo, in few words, in chat style.
    typo_share: float = 0.15
    terse_share: float = 0.15
    colloquial_share: float = 0.15
    #: Weights of the supervised contrastive loss over intents, and over passages.
    contrast: float = 1.0
    passage_contrast: float = 0.0
    #: Share of the rows that are also joined with another one, to learn where a second request begins.
    join_share: float = 0.0
    #: Share of the rows that the model is calibrated on instead of trained on.
    held_out: float = 0.12
    seed: int = 7

    def for_card(self, rows: int, slot_labels: int) -> dict[str, float | int | str | list[int]]:
        """The recipe as bundle.json has it, with the epochs over `rows` rows."""
        fields = asdict(self) | {"epochs": self.epochs or epochs_for(rows, slot_labels)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


#: Rows that an encoder reads in all: few rows are read often, many seldom.
_ROWS_READ: Final = 16_000


def epochs_for(rows: int, slot_labels: int = 1) -> int:
    """Epochs over `rows` rows: between 5 and 20, at least 10 where more than O and BOUNDARY is learned."""
    least = 10 if slot_labels > 2 else 5
    return min(20, max(least, round(_ROWS_READ / max(1, rows))))


ROUTER: Final = Recipe(layers=(0, 1, 2, 3, 5), rate=1.5e-4, join_share=0.1)
#: Utterances that one passage answers are drawn together, not those of an intent: that would also draw
#: together the passages that tell them apart.
SPECIALIST: Final = Recipe(layers=(0, 2, 5), rate=1.5e-4, contrast=0.0, passage_contrast=0.5)
#: The distilled encoders that these start from (distill.py).
ROUTER_BASE: Final = Recipe(layers=ROUTER.layers, epochs=3, batch=64, rate=4e-4)
SPECIALIST_BASE: Final = Recipe(layers=SPECIALIST.layers, epochs=4, batch=64, rate=4e-4)
