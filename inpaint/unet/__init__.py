"""Run the UNet quickly."""
