"""Turn a request into a result: prepare, encode, denoise, decode, blend, report."""
