"""A specialist and what it consists of, as served: encoder, heads, retrieval, slots. No torch."""
