"""The brokers that events travel over: a file each, and `for_url`, which picks one by its URL."""
