"""From a query to its answer: conversation, routing, dispatch to specialists, reply."""
