"""`python -m releasekit` is the same program as `releasekit`."""

from flows.cli import main

raise SystemExit(main())
