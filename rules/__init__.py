"""What Sundial knows, as data: apps, log formats, categories and thresholds."""
