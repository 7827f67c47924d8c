"""Ids in, every record out exactly once: a row, rejected, or gone with its reason.

Another API goes into a module here, ``planner.cheapest`` prices it, ``retrieve`` carries it out;
its name stands in ``settings.Api``, its requests in ``api.endpoints`` and ``api.read_only``.
"""
