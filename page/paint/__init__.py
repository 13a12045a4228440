"""Build the Paint tab: the mask editor, its controls, and the handlers of its events."""
