"""Pictures read and written, with their metadata and the record of how they were made."""
