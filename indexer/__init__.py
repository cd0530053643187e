"""The write side: walks folders, decodes, embeds and commits; and, in `indexer.train`, learning."""
