"""Published data sets: their rows, the training on them, metrics, reports."""
