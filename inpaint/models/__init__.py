"""Find, load and hold a model."""
