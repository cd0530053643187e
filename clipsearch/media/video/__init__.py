"""Videos: frames of them, and what their containers say. PyAV (the extra ``video``) is imported when one is opened."""
