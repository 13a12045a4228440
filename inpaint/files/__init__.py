"""Pictures in and out, with what they remember."""
