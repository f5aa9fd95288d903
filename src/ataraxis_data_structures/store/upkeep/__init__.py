"""Looking after a store: what it holds and takes, whether it is whole, and how it is brought back."""
