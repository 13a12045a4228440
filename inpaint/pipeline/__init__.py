"""From a request to a result: prepare, encode, denoise, decode, blend, report."""
