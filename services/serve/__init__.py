"""The fleet on Ray Serve: application, deployments, hot reload. The only package that imports ray."""
