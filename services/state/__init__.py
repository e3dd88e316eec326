"""What replicas share over Redis: answer cache, sessions, heartbeat, invalidation."""
