"""The brokers that events travel over: a file each, and `registry`, which picks one by its URL."""
