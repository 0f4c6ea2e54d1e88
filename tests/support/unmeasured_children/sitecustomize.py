"""Python imports this at its start if the directory is on PYTHONPATH: coverage measures our program, not its children.

Coverage runs already by then. Without its variable it does not start again in the Prefect server of the program.
"""

import os
import sys

if sys.orig_argv[1:3] == ["-m", "flows.publish"]:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
