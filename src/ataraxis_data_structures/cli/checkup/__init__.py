"""What `axds doctor` looks at."""
