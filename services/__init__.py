"""What runs: command line, gateway, Ray Serve, events, records, measuring."""
