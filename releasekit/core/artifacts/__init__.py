"""What a built package contains, and how it differs from the last release."""
