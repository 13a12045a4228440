"""Make input that tries to break the program, and judge what happens; shared by tests and bench/hostile.py."""
