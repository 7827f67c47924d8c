"""Offer the source where dlt looks for it; see :mod:`salesforce_targeted.source`."""

from __future__ import annotations

from salesforce_targeted.source import salesforce_targeted

__all__ = ["salesforce_targeted"]
