"""Release the example workspace for real, to an index on this machine that is gone afterwards."""

import sys
import tempfile
from pathlib import Path

from orchard_repository import make

from releasekit.cli.app import main

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="orchard-") as directory:
        workspace = make(Path(directory).resolve())
        sys.exit(
            main(
                [
                    "publish",
                    "--rehearse",
                    "--skip-audit",
                    "--workspace",
                    str(workspace),
                    *sys.argv[1:],
                ]
            )
        )
