"""What releasekit stores: release records, the lock on the remote, bundles, clones and backups."""
