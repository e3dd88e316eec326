"""Metrics, traces, logs and energy."""
