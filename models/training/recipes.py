"""The recipes in use: the router's, which also trains the benchmark suites, and the specialists'."""

from __future__ import annotations

from slmfleet.models.training.loop import Recipe

ROUTER = Recipe(layers=(0, 1, 2, 3, 5), rate=1.5e-4, join_share=0.1)
#: Those that one passage answers are drawn together. Drawing the utterances of an intent together would draw
#: together the passages that tell them apart.
SPECIALIST = Recipe(layers=(0, 2, 5), rate=1.5e-4, contrast=0.0, passage_contrast=0.5)
#: The students that they start from (distill.py).
ROUTER_BASE = Recipe(layers=ROUTER.layers, epochs=3, batch=64, rate=4e-4)
SPECIALIST_BASE = Recipe(layers=SPECIALIST.layers, epochs=4, batch=64, rate=4e-4)
