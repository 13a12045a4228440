"""Find a model's files, load them and run their networks."""
