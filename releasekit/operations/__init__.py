"""What a command does, with Prefect or without."""
