"""What releasekit keeps: the release record, the lock on the remote, clones and backups."""
