"""What hardens and quickens Gradio."""
