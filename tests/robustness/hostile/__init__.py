"""Input that was made to break the program, and what counts as surviving it; shared by tests and bench/hostile.py."""
