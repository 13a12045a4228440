"""Run the program from the command line, and serve assistants on standard input."""
