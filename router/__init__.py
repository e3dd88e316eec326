"""Which specialists read which part of an utterance, or that nobody does."""
