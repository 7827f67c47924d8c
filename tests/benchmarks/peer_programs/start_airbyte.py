"""airbyte-source-salesforce: ``start_airbyte.py URL TOKEN`` and the connector's own arguments."""

import sys
import time

from source_salesforce import api

url, token = sys.argv[1:3]
del sys.argv[1:3]


def _perform_login(self):
    self.access_token, self.instance_url = token, url
    self._last_login_time = time.monotonic()


api.Salesforce._perform_login = _perform_login

from source_salesforce.run import run  # noqa: E402  # after its sign-in was replaced

run()
