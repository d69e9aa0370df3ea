"""Tables, releases and locks. Imports nothing else of ours."""
