"""The stories: what a person starts, and what they see."""
