"""Serve the org over HTTP: routes, sign-in, queries, Collections, composite, Bulk jobs."""
