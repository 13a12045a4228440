"""Hold the page's sentences, in English and Chinese."""
