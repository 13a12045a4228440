"""Read and write pictures, with their metadata and the record of how they were made."""
