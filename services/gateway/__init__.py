"""The HTTP edge: routes, bodies, admission, problem documents, OpenAPI."""
