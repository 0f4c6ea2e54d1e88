"""What a built package contains: the rules for it, and how it differs from the last release."""
