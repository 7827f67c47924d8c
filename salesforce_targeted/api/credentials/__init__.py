"""Offer the methods of signing in: one dlt configspec for each, and the choice among them.

Another method is a class like those in ``oauth``; ``resolution`` lists it among its methods and its
settings, and ``base`` the environment variables.
"""

from salesforce_targeted.api.credentials.oauth import (
    ClientCredentials,
    JwtCredentials,
    PasswordCredentials,
    RefreshTokenCredentials,
    SessionCredentials,
)
from salesforce_targeted.api.credentials.resolution import SalesforceCredentials
from salesforce_targeted.api.credentials.salesforce_cli import SfOrgCredentials
from salesforce_targeted.api.credentials.soap import SoapCredentials

__all__ = [
    "ClientCredentials",
    "JwtCredentials",
    "PasswordCredentials",
    "RefreshTokenCredentials",
    "SalesforceCredentials",
    "SessionCredentials",
    "SfOrgCredentials",
    "SoapCredentials",
]
