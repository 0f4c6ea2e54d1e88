"""Which version comes next."""
