"""Devices, memory policies and offloading."""
