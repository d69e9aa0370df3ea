"""Recommenders: data, models, losses, metrics. Reads releases, never `now`."""
