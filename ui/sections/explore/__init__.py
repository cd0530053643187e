"""The sections of the explore page, one in each module, and what they have in common."""
