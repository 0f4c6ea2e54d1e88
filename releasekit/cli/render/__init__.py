"""What you see on a terminal."""
