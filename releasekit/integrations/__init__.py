"""One door to each tool and service outside."""
