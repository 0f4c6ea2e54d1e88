"""Plans, graphs and reports as text; pure functions."""
