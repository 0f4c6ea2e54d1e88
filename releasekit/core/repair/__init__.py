"""Compare what tags, index, forge, changelogs and record say about releases, and name a way forward."""
