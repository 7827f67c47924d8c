"""tap-salesforce: ``start_tap.py URL TOKEN`` and the tap's own arguments."""

import sys

from tap_salesforce import main
from tap_salesforce.salesforce import Salesforce

url, token = sys.argv[1:3]
del sys.argv[1:3]


def _login(self):
    self.access_token, self.instance_url = token, url


Salesforce.login = _login
main()
