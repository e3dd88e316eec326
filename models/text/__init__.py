"""Grammars over plain text: slots, dates, amounts, names of products, spelling, grounding."""
