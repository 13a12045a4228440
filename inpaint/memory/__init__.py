"""Choose devices, and fit models into their memory."""
