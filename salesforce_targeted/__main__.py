"""``python -m salesforce_targeted``: the command line."""

import sys

from salesforce_targeted.command_line import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m salesforce_targeted"))
