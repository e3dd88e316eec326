"""Time, throughput and memory of a served fleet, its models and its cache."""
