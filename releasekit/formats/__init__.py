"""Plans, graphs and reports as text for other programs."""
