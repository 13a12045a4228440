"""Run one job at a time: the queue, the worker and the loaded model."""
