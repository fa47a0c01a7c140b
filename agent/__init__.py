"""The agent: reads DNS and proxy logs, and publishes which department uses which app."""
