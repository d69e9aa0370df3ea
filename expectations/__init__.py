"""One Great Expectations suite per table, and the gate that can block a release."""
