"""The compiled ground: buffers, words and clocks; never paths or processes."""
