"""Commands that take over what other programs wrote."""
