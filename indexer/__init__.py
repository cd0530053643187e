"""The write side: walks folders, decodes, embeds and commits; and, in `clipsearch.training.mini`, learning."""
